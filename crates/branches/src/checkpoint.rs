//! A trained detector of branches on disk.
//!
//! The checkpoint's `model.safetensors` has the averaged weights of the fusion and the projection of each branch.
//! Its `config.json` has a [`Description`]. The frozen vision transformer is not copied into each checkpoint; it is in
//! the folder `backbone` of the training run, or of the checkpoint itself after an export.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use artifacts::Checkpoint;
use artifacts::hash::Hash;
use candle_core::{DType, Device, Tensor};
use model::device::Device as NetworkDevice;
use serde::{Deserialize, Serialize};

use crate::backbone;
use crate::batch::{FeatureBatch, Margins};
use crate::config::{BranchName, ModelConfig};
use crate::error::{Error, Result};
use crate::extractor::{Extractor, Picture};
use crate::fusion::{Fusion, FusionWeight};
use crate::inputs::{InputCutter, TrainedInputs};
use crate::pretrained::{PretrainedFiles, TrainedBranches};
use crate::vit::VitInput;

/// The detector in a checkpoint's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The branches and their settings.
    pub model: ModelConfig,
    /// The BLAKE3 hash of the vision transformer's weights, if there is such a branch.
    pub vit: Option<Hash>,
}

/// A trained detector of branches.
#[derive(Debug)]
pub struct BranchDetector {
    config: ModelConfig,
    extractor: Arc<Extractor>,
    fusion: Fusion,
    trained: TrainedBranches,
    cutter: InputCutter,
    /// The file of the vision transformer.
    files: PretrainedFiles,
    device: NetworkDevice,
}

impl BranchDetector {
    /// Loads the detector of a checkpoint. `description` is the one in its `config.json`. Convolutional networks and a
    /// frozen vision transformer compute on the processor: in the precision of `device`, or in f32 if that is a card.
    ///
    /// # Errors
    /// A file is missing or damaged, or the vision transformer is not the one that the detector was trained with.
    pub fn open(checkpoint: &Checkpoint, description: &Description, device: &NetworkDevice) -> Result<BranchDetector> {
        let Description { model, vit } = description;
        let path = match vit {
            None => None,
            Some(wanted) => Some(backbone::find(checkpoint, model, *wanted)?),
        };
        let extractor = Extractor::open(model, path.as_deref(), device)?;
        let cutter = input_cutter(model, path.as_deref())?;
        let tensors = read_tensors(&checkpoint.weights())?;
        let unfit = |error| match error {
            Error::OptimiserState(detail) => Error::Checkpoint { path: checkpoint.weights(), detail },
            other => other,
        };
        let fusion = Fusion::load(model, &tensors).map_err(unfit)?;
        let files = PretrainedFiles { vit: path, resnet: None };
        let mut trained = TrainedBranches::create(model, &files, device, 0)?;
        for (_, branch) in trained.iter_mut() {
            branch.load(&tensors).map_err(unfit)?;
        }
        if fusion.inputs() != extractor.widths() {
            let detail = "its branches have other numbers of features than its weights".to_owned();
            return Err(Error::Checkpoint { path: checkpoint.weights(), detail });
        }
        let extractor = Arc::new(extractor);
        let (config, device) = (model.clone(), device.clone());
        Ok(BranchDetector { config, extractor, fusion, trained, cutter, files, device })
    }

    /// The branches and their settings.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Computes the features of images.
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// The heads of the frozen branches.
    pub(crate) fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// The trained branches.
    pub(crate) fn trained(&mut self) -> &mut TrainedBranches {
        &mut self.trained
    }

    /// The branches, in the order of [`Margins::branches`].
    pub fn branches(&self) -> Vec<BranchName> {
        self.fusion.branches().collect()
    }

    /// The weight of each branch in the fused margin.
    pub fn fusion_weights(&self) -> Vec<FusionWeight> {
        self.fusion.weights()
    }

    /// Returns a detector with the same frozen branches, random heads, and trained branches with random weights.
    ///
    /// # Errors
    /// The file of the vision transformer cannot be read, or memory cannot be allocated.
    pub fn randomised(&self, seed: u64) -> Result<BranchDetector> {
        let fusion = self.fusion.randomised(&self.config, seed)?;
        let mut trained = TrainedBranches::create(&self.config, &self.files, &self.device, seed)?;
        for (_, branch) in trained.iter_mut() {
            branch.randomise(seed)?;
        }
        let (config, extractor) = (self.config.clone(), Arc::clone(&self.extractor));
        let (cutter, files, device) = (self.cutter.clone(), self.files.clone(), self.device.clone());
        Ok(BranchDetector { config, extractor, fusion, trained, cutter, files, device })
    }

    /// Computes the margins of images.
    ///
    /// # Errors
    /// A branch failed.
    pub fn margins(&mut self, pictures: &[Picture<'_>]) -> Result<Margins> {
        let features = self.extractor.features(pictures)?;
        self.margins_of_features(&features, &self.trained_inputs(pictures)?)
    }

    /// Cuts the inputs of the trained branches.
    ///
    /// # Errors
    /// A picture cannot be resized.
    pub fn trained_inputs(&self, pictures: &[Picture<'_>]) -> Result<TrainedInputs> {
        self.cutter.of_pictures(pictures)
    }

    /// Computes the margins from features of the extractor and the result of [`BranchDetector::trained_inputs`].
    ///
    /// # Errors
    /// The features are not those of the detector's branches, or a branch failed.
    pub fn margins_of_features(&mut self, features: &FeatureBatch, inputs: &TrainedInputs) -> Result<Margins> {
        let trained = self.trained.margins(inputs)?;
        self.fusion.margins(&self.fusion.project(features)?, trained)
    }
}

/// Creates what cuts the inputs of a detector's trained branches. `vit` is the file of the vision transformer, if there is
/// one.
///
/// # Errors
/// The file cannot be read, or is not a vision transformer.
pub fn input_cutter(config: &ModelConfig, vit: Option<&Path>) -> Result<InputCutter> {
    let vit = vit.filter(|_| config.vit.is_tuned());
    let preprocessing = vit.map(vision::preprocessing_of).transpose()?;
    let input = preprocessing.map(|preprocessing| VitInput { preprocessing, crops: config.vit.crops });
    Ok(InputCutter::new(config, input))
}

/// Reads a safetensors file.
///
/// # Errors
/// The file cannot be read or is not in this format, or a value is NaN or infinite.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bytes = fs::read(path).map_err(artifacts::Error::io("read", path))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
    let bad = |error: candle_core::Error| Error::Checkpoint { path: path.to_owned(), detail: error.to_string() };
    let tensors: BTreeMap<String, Tensor> = tensors.map_err(bad)?.into_iter().collect();
    for (name, tensor) in tensors.iter().filter(|(_, tensor)| tensor.dtype() == DType::F32) {
        if tensor.flatten_all()?.to_vec1::<f32>()?.iter().any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { path: path.to_owned(), name: name.clone() });
        }
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_that_are_not_finite_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        for (value, is_valid) in [(1.0_f32, true), (f32::NAN, false), (f32::NEG_INFINITY, false)] {
            let tensors = BTreeMap::from([("head.weight", Tensor::new(&[0.5, value], &Device::Cpu).unwrap())]);
            safetensors::serialize_to_file(tensors, None, &path).unwrap();
            match read_tensors(&path) {
                Ok(tensors) => assert!(is_valid && tensors.len() == 1),
                Err(error) => {
                    let message = error.to_string();
                    assert!(!is_valid && message.contains("head.weight"), "{message}");
                    assert!(message.contains(&path.display().to_string()), "{message}");
                }
            }
        }
    }
}
