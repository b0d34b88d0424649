//! How trained parameters change the tensors of a file when they are read.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::config::TowerConfig;
use crate::error::{Error, Result};
use crate::fine_tuning::{FineTuning, LoraLayer, lora_names};
use crate::names::{BlockNames, Names};

/// Returns the module of a block that `layer` names, and its shape, `[outputs, inputs]`.
pub(crate) fn module(names: &BlockNames, layer: LoraLayer, config: &TowerConfig) -> (String, [usize; 2]) {
    let TowerConfig { width, mlp_width, .. } = *config;
    match layer {
        LoraLayer::Query => (names.qkv[0].clone(), [width, width]),
        LoraLayer::Key => (names.qkv[1].clone(), [width, width]),
        LoraLayer::Value => (names.qkv[2].clone(), [width, width]),
        LoraLayer::Output => (names.output.clone(), [width, width]),
        LoraLayer::Fc1 => (names.fc1.clone(), [mlp_width, width]),
        LoraLayer::Fc2 => (names.fc2.clone(), [width, mlp_width]),
    }
}

/// Trained parameters that change the tensors of a file when they are read.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    tensors: BTreeMap<String, Vec<f32>>,
    /// alpha / rank, and the rank, if there are matrices of LoRA.
    lora: Option<(f32, usize)>,
}

impl Changes {
    /// Collects the changes from the parameters of a tower that was fine-tuned with `method`.
    ///
    /// # Errors
    /// Parameters are missing, have other shapes or do not belong to the tower. The error lists them.
    pub(crate) fn new(
        names: &Names,
        config: &TowerConfig,
        method: &FineTuning,
        parameters: &BTreeMap<String, Tensor>,
    ) -> Result<Self> {
        let mut expected = BTreeMap::new();
        if *method == FineTuning::Full {
            expected.extend(names.tensors(config));
        }
        if let Some(lora) = method.lora() {
            for names in (0..config.depth).map(|block| names.block(block)) {
                for &layer in &lora.layers {
                    let (name, [outputs, inputs]) = module(&names, layer, config);
                    let [a, b] = lora_names(&name);
                    expected.extend([(a, vec![lora.rank, inputs]), (b, vec![outputs, lora.rank])]);
                }
            }
        }
        let mut problems = Vec::new();
        for (name, shape) in &expected {
            match parameters.get(name) {
                None => problems.push(format!("{name} {shape:?} is missing")),
                Some(found) if found.dims() != shape.as_slice() => {
                    problems.push(format!("{name} has shape {:?} instead of {shape:?}", found.dims()));
                }
                Some(_) => {}
            }
        }
        let unknown = parameters.keys().filter(|name| !expected.contains_key(*name));
        problems.extend(unknown.map(|name| format!("{name} is no parameter of this tower")));
        if !problems.is_empty() {
            return Err(Error::Input(format!("trained parameters do not fit the tower: {}", problems.join("; "))));
        }
        let mut tensors = BTreeMap::new();
        for (name, tensor) in parameters {
            tensors.insert(name.clone(), tensor.flatten_all()?.to_vec1()?);
        }
        Ok(Self { tensors, lora: method.lora().map(|lora| (lora.alpha / lora.rank as f32, lora.rank)) })
    }

    /// Changes a tensor of the file.
    pub(crate) fn apply(&self, name: &str, values: &mut [f32]) {
        if let Some(trained) = self.tensors.get(name) {
            values.copy_from_slice(trained);
        }
        let Some(((scale, rank), module)) = self.lora.zip(name.strip_suffix(".weight")) else { return };
        let [a, b] = lora_names(module).map(|name| self.tensors.get(&name));
        let Some((a, b)) = a.zip(b) else { return };
        let inputs = a.len() / rank;
        for (row, b) in values.chunks_exact_mut(inputs).zip(b.chunks_exact(rank)) {
            for (a, factor) in a.chunks_exact(inputs).zip(b) {
                row.iter_mut().zip(a).for_each(|(weight, a)| *weight += scale * factor * a);
            }
        }
    }
}
