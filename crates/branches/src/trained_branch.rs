//! Branches whose networks are trained with the detector, in contrast to frozen ones, of which only a head is trained.

use std::collections::BTreeMap;
use std::fmt::Debug;

use candle_core::Tensor;
use model::HeatMap;
use model::weights::LoadReport;
use pixels::RgbImage;

use crate::error::Result;
use crate::fusion::StepOptions;
use crate::inputs::Windows;

/// A network with its head and its optimisers.
pub(crate) trait TrainedBranch: Debug {
    /// Runs one training step. `targets`, `[n]`, are the probabilities of fake that the loss aims at; `weights`, `[n]`,
    /// the share of each image in the loss. Returns the loss, and the margin of each image before the step; `None` for
    /// images without input.
    fn train_step(
        &mut self,
        inputs: &Windows,
        targets: &[f32],
        weights: &[f32],
        options: StepOptions,
    ) -> Result<(f32, Vec<Option<f32>>)>;

    /// Computes the margin of each image; `None` for images without input.
    fn margins(&mut self, inputs: &Windows) -> Result<Vec<Option<f32>>>;

    /// What was loaded from a file of initial weights that may lack tensors.
    fn loaded(&self) -> Option<&LoadReport> {
        None
    }

    /// Computes what each part of an image adds to the margin, and the image that this map covers. `None` if the branch has
    /// nothing to say about the image.
    fn evidence_map(&mut self, image: &RgbImage) -> Result<Option<(HeatMap, RgbImage)>>;

    /// The tensors of `model.safetensors`.
    fn tensors(&self) -> Result<BTreeMap<String, Tensor>>;

    /// Bounds the bytes of the tensors that only a first step adds to [`TrainedBranch::tensors`].
    fn later_bytes(&self) -> u64 {
        0
    }

    /// The state of the optimisers for a checkpoint.
    fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>>;

    /// Restores a training from [`TrainedBranch::optimiser_state`] and [`TrainedBranch::tensors`].
    ///
    /// # Errors
    /// [`crate::Error::OptimiserState`] names a tensor that is missing or has another shape.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>, tensors: &BTreeMap<String, Tensor>) -> Result<()>;

    /// Loads the result of [`TrainedBranch::tensors`] for inference.
    ///
    /// # Errors
    /// [`crate::Error::OptimiserState`] names a tensor that is missing or has another shape.
    fn load(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()>;

    /// Replaces what was trained by random weights, for the sanity check of heat maps.
    fn randomise(&mut self, seed: u64) -> Result<()>;
}

/// Returns tensors under names with a prefix.
pub(crate) fn prefixed(prefix: &str, tensors: impl IntoIterator<Item = (String, Tensor)>) -> BTreeMap<String, Tensor> {
    tensors.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect()
}

/// Returns the tensors whose names have a prefix, under the names without it.
pub(crate) fn without_prefix(prefix: &str, tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let own = tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())));
    own.collect()
}
