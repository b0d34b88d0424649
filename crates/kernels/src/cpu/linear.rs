//! Linear layers on rows of tokens, with weights that are packed once.

use super::activation::Activation;
use super::buffer::Buffer;
use super::convolution::{Convolution, Input};
use super::epilogue::{Epilogue, Tile};
use super::im2col::{Im2col, ImageLayout};
use super::operand::Operand;
use super::panels::{Panels, WeightMatrix};
use super::product::{Phase, Product};
use super::simd::{Isa, Simd};
use super::values::ValuesMut;
use crate::error::Result;
use crate::shape::ConvShape;

/// A linear layer `x wᵀ + b` with packed weights.
#[derive(Debug)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Panels,
    packed: Buffer,
    bias: Vec<f32>,
    isa: Isa,
}

/// What happens to the product when it is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinearEpilogue {
    /// The function that is applied after the bias.
    pub activation: Option<Activation>,
    /// Whether the result is added to the output instead of replacing it.
    pub accumulate: bool,
}

impl Linear {
    /// Packs `weight`, `[outputs, inputs]`. An empty `bias` is zero.
    ///
    /// # Errors
    /// The memory cannot be allocated.
    ///
    /// # Panics
    /// If the lengths do not fit the shape.
    pub fn new(weight: &[f32], bias: &[f32], [outputs, inputs]: [usize; 2], isa: Isa) -> Result<Self> {
        Self::pack(weight, bias, [outputs, inputs], [1, inputs], isa)
    }

    /// Packs the transpose of `weight`, `[outputs, inputs]`: a layer from `outputs` values to `inputs` values, without
    /// bias. It computes the input gradient of the layer with `weight`.
    ///
    /// # Errors
    /// The memory cannot be allocated.
    ///
    /// # Panics
    /// If the lengths do not fit the shape.
    pub fn transposed(weight: &[f32], [outputs, inputs]: [usize; 2], isa: Isa) -> Result<Self> {
        Self::pack(weight, &[], [inputs, outputs], [inputs, 1], isa)
    }

    /// Packs a matrix whose element for input `i` and output `o` is at `i * of_input + o * of_output`.
    fn pack(
        weight: &[f32],
        bias: &[f32],
        [outputs, inputs]: [usize; 2],
        [of_input, of_output]: [usize; 2],
        isa: Isa,
    ) -> Result<Self> {
        assert_eq!(weight.len(), outputs * inputs, "the weight has the shape of the layer");
        assert!(bias.is_empty() || bias.len() == outputs, "the bias has an element for each output");
        let panels = Panels::new(inputs, outputs, isa);
        let mut packed = Buffer::zeros(panels.len())?;
        let matrix = WeightMatrix { weights: weight, row_start: |k: usize| k * of_input, column_stride: of_output };
        panels.pack(matrix, packed.slice_mut());
        let bias = if bias.is_empty() { vec![0.0; outputs] } else { bias.to_vec() };
        Ok(Self { inputs, outputs, panels, packed, bias, isa })
    }

    /// The number of inputs of the layer.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of outputs of the layer.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Computes the layer for `x`, `[rows, inputs]`, into `to`, `[rows, outputs]`. The result of a row depends neither
    /// on the other rows nor on the number of threads.
    ///
    /// # Panics
    /// If `to` is not as long as `x` requires.
    pub fn run(&self, x: &[f32], to: &mut [f32], epilogue: LinearEpilogue) {
        let rows = x.len() / self.inputs;
        assert_eq!((x.len(), to.len()), (rows * self.inputs, rows * self.outputs), "whole rows");
        if rows == 0 {
            return;
        }
        let im2col = Im2col {
            source: ImageLayout::contiguous(rows, 1, self.inputs),
            stride: 1,
            taps: vec![(0, 0)],
            channels: self.inputs,
        };
        let phase = Phase { im2col, panels: self.panels, weights_offset: 0, first: (0, 0) };
        let product = Product::new(1, (rows, 1), self.outputs, vec![phase], self.isa);
        let epilogue = BiasActivation { bias: &self.bias, epilogue };
        product.run(&Operand::Plain(x.into()), self.packed.slice(), &epilogue, to.into(), &mut []);
    }
}

/// Computes the weight gradient of a linear layer, `[outputs, inputs]`, from its input `x`, `[rows, inputs]`, and the
/// gradient of its output, `[rows, outputs]`.
///
/// # Errors
/// The scratch memory cannot be allocated.
pub fn linear_weight_gradient(
    x: &[f32],
    gradient: &[f32],
    [outputs, inputs]: [usize; 2],
    to: &mut [f32],
    isa: Isa,
) -> Result<()> {
    let rows = x.len() / inputs;
    let shape = ConvShape { images: 1, height: rows, width: 1, inputs, outputs, kernel: 1, stride: 1, padding: 0 };
    let plan = Convolution::new(&shape, Input::Activations, isa).weights;
    let mut partial = Buffer::zeros(plan.partial_len())?;
    plan.run(&Operand::Plain(x.into()), &Operand::Plain(gradient.into()), partial.slice_mut(), to);
    Ok(())
}

/// Writes `activation(product + bias)`, or adds it to the output.
struct BiasActivation<'a> {
    bias: &'a [f32],
    epilogue: LinearEpilogue,
}

impl Epilogue for BiasActivation<'_> {
    const SUMS: usize = 0;

    #[inline(always)]
    fn reads_output(&self) -> bool {
        self.epilogue.accumulate
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, mut to: ValuesMut<'_>, _sums: &mut [f32]) {
        let bias = tile.per_channel(s, self.bias);
        for (value, at) in tile.rows(s) {
            let to = tile.output(&mut to, at);
            let mut value = [s.add(value[0], bias[0]), s.add(value[1], bias[1])];
            if let Some(activation) = self.epilogue.activation {
                value = [activation.apply(s, value[0]), activation.apply(s, value[1])];
            }
            if self.epilogue.accumulate {
                let old = tile.load(s, to.as_values(), 0);
                tile.store(s, [s.add(old[0], value[0]), s.add(old[1], value[1])], to);
            } else {
                tile.write(s, value, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::activation::tests::reference;
    use super::super::reference::{assert_close, noise};
    use super::*;

    const SHAPES: [[usize; 3]; 5] = [[1, 1, 1], [5, 7, 3], [15, 300, 33], [197, 64, 70], [130, 33, 530]];
    const EPILOGUES: [LinearEpilogue; 3] = [
        LinearEpilogue { activation: None, accumulate: false },
        LinearEpilogue { activation: Some(Activation::Gelu), accumulate: false },
        LinearEpilogue { activation: Some(Activation::QuickGelu), accumulate: true },
    ];

    /// `x wᵀ`, `[rows, outputs]`, in plain loops.
    fn product(x: &[f32], weight: &[f32], inputs: usize) -> Vec<f64> {
        let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
        x.chunks(inputs).flat_map(|x| weight.chunks(inputs).map(move |w| dot(x, w))).collect()
    }

    #[test]
    fn matches_reference_for_odd_shapes() {
        for isa in Isa::available() {
            for [rows, inputs, outputs] in SHAPES {
                let (x, weight, bias) = (noise(1, rows * inputs), noise(2, outputs * inputs), noise(3, outputs));
                let linear = Linear::new(&weight, &bias, [outputs, inputs], isa).unwrap();
                for epilogue in EPILOGUES {
                    let mut to = noise(4, rows * outputs);
                    let mut expected = product(&x, &weight, inputs);
                    for (i, value) in expected.iter_mut().enumerate() {
                        *value += f64::from(bias[i % outputs]);
                        *value = epilogue.activation.map_or(*value, |activation| reference(activation, *value));
                        *value += if epilogue.accumulate { f64::from(to[i]) } else { 0.0 };
                    }
                    linear.run(&x, &mut to, epilogue);
                    assert_close(&to, &expected, 1e-5, &format!("{isa:?} {rows}x{inputs}x{outputs} {epilogue:?}"));
                }
            }
        }
    }

    #[test]
    fn gradients_match_reference() {
        for isa in Isa::available() {
            for [rows, inputs, outputs] in SHAPES {
                let (x, weight, g) = (noise(1, rows * inputs), noise(2, outputs * inputs), noise(3, rows * outputs));
                let transpose = |m: &[f32], columns: usize| -> Vec<f32> {
                    (0..m.len()).map(|i| m[i % (m.len() / columns) * columns + i / (m.len() / columns)]).collect()
                };
                let what = format!("{isa:?} {rows}x{inputs}x{outputs}");
                let mut dx = vec![f32::NAN; x.len()];
                Linear::transposed(&weight, [outputs, inputs], isa).unwrap().run(
                    &g,
                    &mut dx,
                    LinearEpilogue::default(),
                );
                assert_close(&dx, &product(&g, &transpose(&weight, inputs), outputs), 1e-5, &what);
                let mut dw = vec![f32::NAN; weight.len()];
                linear_weight_gradient(&x, &g, [outputs, inputs], &mut dw, isa).unwrap();
                assert_close(&dw, &product(&transpose(&g, outputs), &transpose(&x, inputs), rows), 1e-5, &what);
            }
        }
    }

    #[test]
    fn rows_do_not_depend_on_each_other() {
        let (inputs, outputs) = (70, 45);
        let x = noise(1, 200 * inputs);
        let linear = Linear::new(&noise(2, outputs * inputs), &[], [outputs, inputs], Isa::detect()).unwrap();
        let run = |x: &[f32]| {
            let mut to = vec![f32::NAN; x.len() / inputs * outputs];
            linear.run(x, &mut to, LinearEpilogue::default());
            to
        };
        assert_eq!(run(&x)[150 * outputs..], run(&x[150 * inputs..]));
    }
}
