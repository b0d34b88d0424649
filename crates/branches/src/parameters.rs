//! Named parameters, their optimiser, and the moving average of their values.

use std::collections::BTreeMap;

use artifacts::random::{StandardNormal, Stream};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use kernels::adam::AdamStep;

use crate::error::{Error, Result};

/// Decay of the first moment of AdamW.
const BETA1: f64 = 0.9;
/// Decay of the second moment of AdamW.
const BETA2: f64 = 0.999;
/// Added to the denominator of AdamW.
const EPS: f64 = 1e-8;

const STEP: &str = "step";
const WEIGHT: &str = "weight.";
const FIRST_MOMENT: &str = "exp_avg.";
const SECOND_MOMENT: &str = "exp_avg_sq.";

/// A trained tensor with its optimiser state.
#[derive(Debug)]
struct Parameter {
    var: Var,
    /// Whether weight decay applies. It does not apply to biases.
    decays: bool,
    first: Vec<f32>,
    second: Vec<f32>,
    /// The moving average of the values.
    average: Vec<f32>,
}

/// The trained tensors of a detector by name.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    by_name: BTreeMap<String, Parameter>,
    steps: u32,
}

/// The sums of gradients by name of the parameter.
pub(crate) type Gradients = BTreeMap<String, Vec<f32>>;

/// The settings of one optimiser step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepSettings {
    /// Learning rate.
    pub(crate) learning_rate: f64,
    /// Decoupled weight decay.
    pub(crate) weight_decay: f64,
    /// Decay of the moving average; 0 keeps the values of the last step.
    pub(crate) average: f64,
}

impl Parameters {
    /// Adds a parameter. `decays` states whether weight decay applies to it.
    pub(crate) fn add(&mut self, name: &str, value: Tensor, decays: bool) -> Result<Var> {
        let var = Var::from_tensor(&value)?;
        self.add_variable(name, var.clone(), decays)?;
        Ok(var)
    }

    /// Adds a parameter whose variable exists.
    pub(crate) fn add_variable(&mut self, name: &str, var: Var, decays: bool) -> Result<()> {
        let average = var.flatten_all()?.to_vec1::<f32>()?;
        let zeros = vec![0.0; average.len()];
        let parameter = Parameter { var, decays, first: zeros.clone(), second: zeros, average };
        self.by_name.insert(name.to_owned(), parameter);
        Ok(())
    }

    /// Adds the gradients of a backward pass to those of earlier ones.
    pub(crate) fn add_gradients(&self, gradients: &GradStore, sum: &mut Gradients) -> Result<()> {
        for (name, parameter) in &self.by_name {
            let Some(gradient) = gradients.get(parameter.var.as_tensor()) else { continue };
            let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
            match sum.get_mut(name) {
                Some(sum) => sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value),
                None => drop(sum.insert(name.clone(), gradient)),
            }
        }
        Ok(())
    }

    /// The number of steps so far.
    pub(crate) fn steps(&self) -> u32 {
        self.steps
    }

    /// Runs one step with the gradients of one backward pass, see [`Parameters::apply`].
    pub(crate) fn step(&mut self, gradients: &GradStore, settings: StepSettings) -> Result<()> {
        let mut sum = Gradients::new();
        self.add_gradients(gradients, &mut sum)?;
        self.apply(&sum, settings)
    }

    /// Runs one step of AdamW (Loshchilov and Hutter, arXiv 1711.05101) with the arithmetic of `torch.optim.AdamW`, and
    /// updates the moving averages. A parameter without a gradient keeps its value.
    pub(crate) fn apply(&mut self, gradients: &Gradients, settings: StepSettings) -> Result<()> {
        self.steps += 1;
        let steps = f64::from(self.steps);
        let StepSettings { learning_rate, weight_decay, average } = settings;
        let adam = AdamStep {
            beta1: BETA1 as f32,
            beta2: BETA2 as f32,
            one_minus_beta1: (1.0 - BETA1) as f32,
            one_minus_beta2: (1.0 - BETA2) as f32,
            step_size: (learning_rate / (1.0 - BETA1.powf(steps))) as f32,
            root_correction: (1.0 - BETA2.powf(steps)).sqrt() as f32,
            eps: EPS as f32,
        };
        // The average of the first steps would otherwise hold the initial values for long.
        let keep = average.min((1.0 + steps) / (10.0 + steps)) as f32;
        for (name, parameter) in &mut self.by_name {
            let Some(gradient) = gradients.get(name) else { continue };
            let mut values = parameter.var.flatten_all()?.to_vec1::<f32>()?;
            if parameter.decays {
                let factor = (1.0 - learning_rate * weight_decay) as f32;
                values.iter_mut().for_each(|value| *value *= factor);
            }
            adam.apply(&mut values, gradient, &mut parameter.first, &mut parameter.second);
            if average > 0.0 {
                for (mean, value) in parameter.average.iter_mut().zip(&values) {
                    *mean = keep * *mean + (1.0 - keep) * value;
                }
            } else {
                parameter.average.copy_from_slice(&values);
            }
            parameter.var.set(&Tensor::from_vec(values, parameter.var.dims(), &Device::Cpu)?)?;
        }
        Ok(())
    }

    /// The moving averages, which a checkpoint's weights consist of.
    pub(crate) fn averages(&self) -> Result<BTreeMap<String, Tensor>> {
        let average = |(name, parameter): (&String, &Parameter)| {
            let values = Tensor::from_vec(parameter.average.clone(), parameter.var.dims(), &Device::Cpu)?;
            Ok((name.clone(), values))
        };
        self.by_name.iter().map(average).collect()
    }

    /// The state for a checkpoint besides the averages: the weights, both moments and the number of steps.
    pub(crate) fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::from([(STEP.to_owned(), Tensor::new(self.steps, &Device::Cpu)?)]);
        for (name, parameter) in &self.by_name {
            let dims = parameter.var.dims();
            state.insert(format!("{WEIGHT}{name}"), parameter.var.as_tensor().copy()?);
            for (prefix, moment) in [(FIRST_MOMENT, &parameter.first), (SECOND_MOMENT, &parameter.second)] {
                state.insert(format!("{prefix}{name}"), Tensor::from_vec(moment.clone(), dims, &Device::Cpu)?);
            }
        }
        Ok(state)
    }

    /// Restores the result of [`Parameters::state`] and of [`Parameters::averages`].
    pub(crate) fn restore(
        &mut self,
        state: &BTreeMap<String, Tensor>,
        averages: &BTreeMap<String, Tensor>,
    ) -> Result<()> {
        self.steps = find(state, STEP)?.to_scalar()?;
        for (name, parameter) in &mut self.by_name {
            let dims = parameter.var.dims().to_vec();
            let read = |tensors, name: &str| -> Result<Vec<f32>> {
                let tensor: &Tensor = find(tensors, name)?;
                if tensor.dims() != dims {
                    let found = tensor.dims();
                    return Err(Error::OptimiserState(format!("{name} has shape {found:?} instead of {dims:?}")));
                }
                Ok(tensor.flatten_all()?.to_vec1()?)
            };
            let values = read(state, &format!("{WEIGHT}{name}"))?;
            parameter.first = read(state, &format!("{FIRST_MOMENT}{name}"))?;
            parameter.second = read(state, &format!("{SECOND_MOMENT}{name}"))?;
            parameter.average = read(averages, name)?;
            parameter.var.set(&Tensor::from_vec(values, dims.as_slice(), &Device::Cpu)?)?;
        }
        Ok(())
    }

    /// Sets the weights to the averages, for inference.
    pub(crate) fn load(&mut self, averages: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, parameter) in &mut self.by_name {
            let tensor = find(averages, name)?;
            if tensor.dims() != parameter.var.dims() {
                let (found, wanted) = (tensor.dims(), parameter.var.dims());
                return Err(Error::OptimiserState(format!("{name} has shape {found:?} instead of {wanted:?}")));
            }
            parameter.average = tensor.flatten_all()?.to_vec1()?;
            parameter.var.set(tensor)?;
        }
        Ok(())
    }
}

/// Draws a tensor of standard normal deviates.
pub(crate) fn normal_tensor(random: &mut Stream, shape: (usize, usize)) -> Result<Tensor> {
    let count = shape.0 * shape.1;
    let draws = (0..count.div_ceil(2)).flat_map(|_| f32::draw_pair(random)).take(count);
    Ok(Tensor::from_vec(draws.collect(), shape, &Device::Cpu)?)
}

fn find<'a>(tensors: &'a BTreeMap<String, Tensor>, name: &str) -> Result<&'a Tensor> {
    tensors.get(name).ok_or_else(|| Error::OptimiserState(format!("{name} is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.optim.AdamW([w], lr=0.1, weight_decay=0.5)` on w = [1, -2] with the loss (w * [3, 1]).sum(), two steps.
    #[test]
    fn step_equals_torch() {
        let mut parameters = Parameters::default();
        let var = parameters.add("w", Tensor::new(&[1.0_f32, -2.0], &Device::Cpu).unwrap(), true).unwrap();
        let slope = Tensor::new(&[3.0_f32, 1.0], &Device::Cpu).unwrap();
        let settings = StepSettings { learning_rate: 0.1, weight_decay: 0.5, average: 0.0 };
        for _ in 0..2 {
            let loss = (var.as_tensor() * &slope).unwrap().sum_all().unwrap();
            parameters.step(&loss.backward().unwrap(), settings).unwrap();
        }
        let values = var.to_vec1::<f32>().unwrap();
        // 1 * 0.95 - 0.1 = 0.85, then 0.85 * 0.95 - 0.1; for -2: -2.0, -2.0.
        assert!((values[0] - 0.7075).abs() < 1e-6 && (values[1] + 2.0).abs() < 1e-6, "{values:?}");
    }

    #[test]
    fn restored_state_continues_with_the_same_bits() {
        let new = || {
            let mut parameters = Parameters::default();
            let var = parameters.add("w", Tensor::new(&[1.0_f32, -2.0], &Device::Cpu).unwrap(), true).unwrap();
            (parameters, var)
        };
        let settings = StepSettings { learning_rate: 0.1, weight_decay: 0.5, average: 0.9 };
        let step = |parameters: &mut Parameters, var: &Var| {
            let loss = var.as_tensor().sqr().unwrap().sum_all().unwrap();
            parameters.step(&loss.backward().unwrap(), settings).unwrap();
        };
        let (mut whole, var) = new();
        (0..3).for_each(|_| step(&mut whole, &var));
        let (state, averages) = (whole.state().unwrap(), whole.averages().unwrap());
        let (mut resumed, resumed_var) = new();
        resumed.restore(&state, &averages).unwrap();
        step(&mut whole, &var);
        step(&mut resumed, &resumed_var);
        assert_eq!(var.to_vec1::<f32>().unwrap(), resumed_var.to_vec1::<f32>().unwrap());
        let [a, b] = [&whole, &resumed].map(|parameters| parameters.averages().unwrap()["w"].to_vec1::<f32>().unwrap());
        assert_eq!(a, b);
        assert_eq!(resumed.steps(), 4);
    }
}
