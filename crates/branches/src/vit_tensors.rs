//! A detector whose verdict is that of the branch `vit` alone, as the values that it computes with, for writing it in the format of another
//! program.

use std::collections::BTreeMap;

use artifacts::Checkpoint;
use vision::{FineTuning, TowerTensors};

use crate::backbone;
use crate::checkpoint::{Description, read_tensors};
use crate::config::BranchName;
use crate::error::Result;
use crate::fusion::Fusion;
use crate::head_tensors::HeadTensors;
use crate::trained_branch::TrainedBranch;
use crate::tuned_vit::TunedVit;
use crate::vit::layers;

/// A vision transformer and its head.
///
/// The features of a part of an image are, for each block of `layers`, the class token after the block, if there is one, and
/// the mean of its patch tokens. The margin of an image is the mean of the margins of its parts; the logits are
/// `[-margin / 2, margin / 2]`.
#[derive(Clone, Debug)]
pub struct VitTensors {
    /// The transformer.
    pub tower: TowerTensors,
    /// Blocks, counted from 0.
    pub layers: Vec<usize>,
    /// The number of parts of an image: 1, the whole image, or 2, the whole image and its centre at native resolution.
    pub parts: usize,
    /// The head.
    pub head: HeadTensors,
}

impl VitTensors {
    /// Reads a checkpoint, whose `config.json` has `description`. `None` if another branch
    /// takes part in the verdict, or `vit` does not.
    ///
    /// # Errors
    /// As [`BranchDetector::open`](crate::BranchDetector::open).
    pub fn read(checkpoint: &Checkpoint, description: &Description) -> Result<Option<VitTensors>> {
        let Description { model, vit: Some(wanted) } = description else { return Ok(None) };
        if model.fused_branches().ne([BranchName::Vit]) {
            return Ok(None);
        }
        let path = backbone::find(checkpoint, model, *wanted)?;
        let tensors = read_tensors(&checkpoint.weights())?;
        let (tower, head) = if model.vit.is_tuned() {
            let mut vit = TunedVit::open(&model.vit, &path, 0)?;
            vit.load(&tensors)?;
            (vit.tower_tensors(&path, &tensors)?, Some(vit.head_tensors()?))
        } else {
            let tower = TowerTensors::read(&path, &FineTuning::Frozen, &BTreeMap::new())?;
            (tower, Fusion::load(model, &tensors)?.head_tensors(BranchName::Vit)?)
        };
        let layers = layers(&model.vit, tower.config.depth)?;
        let parts = model.vit.crops.count();
        Ok(head.map(|head| VitTensors { tower, layers, parts, head }))
    }
}
