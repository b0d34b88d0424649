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
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::backbone;
use crate::batch::{FeatureBatch, Margins};
use crate::config::{BranchName, ModelConfig};
use crate::error::{Error, Result};
use crate::extractor::{Extractor, Picture};
use crate::fusion::{Fusion, FusionWeight};
use crate::patch_branch::PatchBranch;
use crate::windows::Windows;

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
    patches: Option<PatchBranch>,
}

impl BranchDetector {
    /// Loads the detector of a checkpoint. `description` is the one in its `config.json`.
    ///
    /// # Errors
    /// A file is missing or damaged, or the vision transformer is not the one that the detector was trained with.
    pub fn open(checkpoint: &Checkpoint, description: &Description) -> Result<BranchDetector> {
        let Description { model, vit } = description;
        let path = match vit {
            None => None,
            Some(wanted) => Some(backbone::find(checkpoint, model, *wanted)?),
        };
        let extractor = Extractor::open(model, path.as_deref())?;
        let tensors = read_tensors(&checkpoint.weights())?;
        let unfit = |error| match error {
            Error::OptimiserState(detail) => Error::Checkpoint { path: checkpoint.weights(), detail },
            other => other,
        };
        let fusion = Fusion::load(model, &tensors).map_err(unfit)?;
        let mut patches = model.has_patches().then(|| PatchBranch::new(&model.patches, 0)).transpose()?;
        if let Some(patches) = &mut patches {
            patches.load(&tensors).map_err(unfit)?;
        }
        if fusion.inputs() != extractor.widths() {
            let detail = "its branches have other numbers of features than its weights".to_owned();
            return Err(Error::Checkpoint { path: checkpoint.weights(), detail });
        }
        Ok(BranchDetector { config: model.clone(), extractor: Arc::new(extractor), fusion, patches })
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

    /// The branch `patches`, if the detector has it.
    pub(crate) fn patch_branch(&mut self) -> Option<&mut PatchBranch> {
        self.patches.as_mut()
    }

    /// The branches, in the order of [`Margins::branches`].
    pub fn branches(&self) -> Vec<BranchName> {
        self.fusion.branches().collect()
    }

    /// The weight of each branch in the fused margin.
    pub fn fusion_weights(&self) -> Vec<FusionWeight> {
        self.fusion.weights()
    }

    /// Returns a detector with the same frozen branches and random heads.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn randomised(&self, seed: u64) -> Result<BranchDetector> {
        let fusion = self.fusion.randomised(&self.config, seed)?;
        let patches = self.config.has_patches().then(|| PatchBranch::new(&self.config.patches, seed)).transpose()?;
        Ok(BranchDetector { config: self.config.clone(), extractor: Arc::clone(&self.extractor), fusion, patches })
    }

    /// Computes the margins of images.
    ///
    /// # Errors
    /// A branch failed.
    pub fn margins(&mut self, pictures: &[Picture<'_>]) -> Result<Margins> {
        let features = self.extractor.features(pictures)?;
        self.margins_of_features(&features, &self.windows(pictures))
    }

    /// Cuts the windows of the branch `patches`. Without this branch, there are none.
    pub fn windows(&self, pictures: &[Picture<'_>]) -> Windows {
        if self.patches.is_some() { self.config.patches.of_pictures(pictures) } else { Windows::default() }
    }

    /// Computes the margins from features of the extractor and the result of [`BranchDetector::windows`].
    ///
    /// # Errors
    /// The features are not those of the detector's branches, or a branch failed.
    pub fn margins_of_features(&mut self, features: &FeatureBatch, windows: &Windows) -> Result<Margins> {
        let patches = self.patches.as_mut().map(|patches| patches.margins(windows)).transpose()?;
        self.fusion.margins(&self.fusion.project(features)?, patches)
    }
}

/// Reads a safetensors file.
///
/// # Errors
/// The file cannot be read, or is not in this format.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bytes = fs::read(path).map_err(artifacts::Error::io("read", path))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
    let bad = |error: candle_core::Error| Error::Checkpoint { path: path.to_owned(), detail: error.to_string() };
    Ok(tensors.map_err(bad)?.into_iter().collect())
}
