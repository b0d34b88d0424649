//! The initial values of the trained parameters of a tower.

use std::collections::BTreeMap;

use artifacts::random::stream;
use candle_core::{Device, Var};
use rand::RngExt;

use crate::changes::module;
use crate::error::Result;
use crate::fine_tuning::{FineTuning, lora_names};
use crate::source::Source;

/// Creates the initial parameters: the file's tensors for full fine-tuning, or LoRA's matrices.
pub(crate) fn initial(source: &mut Source, method: &FineTuning, seed: u64) -> Result<BTreeMap<String, Var>> {
    let mut parameters = BTreeMap::new();
    let (names, config) = (source.names.clone(), source.config.clone());
    if *method == FineTuning::Full {
        for (name, shape) in names.tensors(&config) {
            let values = source.read(&name)?;
            parameters.insert(name, Var::from_vec(values, shape, &Device::Cpu)?);
        }
    }
    let Some(lora) = method.lora() else { return Ok(parameters) };
    for block in 0..config.depth {
        let names = names.block(block);
        for &layer in &lora.layers {
            let (name, [outputs, inputs]) = module(&names, layer, &config);
            // PEFT's and PyTorch's initialisation: Kaiming's with a = sqrt 5.
            let bound = 1.0 / (inputs as f32).sqrt();
            let mut random = stream(seed, "lora", &[block as u64, layer as u64]);
            let a = (0..lora.rank * inputs).map(|_| bound * (2.0 * random.random::<f32>() - 1.0)).collect();
            let [of_a, of_b] = lora_names(&name);
            parameters.insert(of_a, Var::from_vec(a, (lora.rank, inputs), &Device::Cpu)?);
            parameters
                .insert(of_b, Var::from_vec(vec![0.0_f32; outputs * lora.rank], (outputs, lora.rank), &Device::Cpu)?);
        }
    }
    Ok(parameters)
}
