//! The detector to train: what all runs of a configuration share.

mod baseline;
mod branch_set;

use std::path::Path;
use std::sync::Arc;

use artifacts::hash::Hash;
use artifacts::schema::ModelConfig;
use artifacts::shard::Shards;

use crate::disk_space::SpaceCheck;
use crate::error::Error;
use crate::images::Images;
use crate::learner::Learner;

pub(crate) use baseline::Baseline;
pub(crate) use branch_set::BranchSet;

/// The training and the validation images.
#[derive(Clone, Debug)]
pub(crate) struct Splits {
    pub(crate) train: Arc<Images>,
    pub(crate) val: Arc<Images>,
}

/// A model, and the images in the form that it takes.
pub(crate) struct Created {
    pub(crate) learner: Box<dyn Learner>,
    pub(crate) splits: Splits,
}

/// The training that [`Blueprint::prepare`] precedes.
#[derive(Clone, Copy)]
pub(crate) struct Preparation<'a> {
    /// The folder of the run.
    pub(crate) folder: &'a Path,
    pub(crate) seed: u64,
    /// Identifies settings, epochs and data, so that what an interrupted training has prepared is used again.
    pub(crate) key: Hash,
    /// Checks that the checkpoints will fit on the disk.
    pub(crate) space: SpaceCheck<'a>,
}

/// Creates the models of independent trainings.
pub(crate) trait Blueprint {
    /// Reads the images of a split for training or validation. Returns `None` if the user interrupted it.
    fn images(&self, shards: Arc<Shards>, stop: &dyn Fn() -> bool) -> Result<Option<Images>, Error>;

    /// Does what must precede a training. Returns `false` if the user interrupted it. If this takes long, it first checks
    /// that the checkpoints will fit on the disk.
    fn prepare(&self, run: &Preparation<'_>, splits: &Splits, stop: &dyn Fn() -> bool) -> Result<bool, Error>;

    /// Creates a model. With `initial`, it has its initial weights; otherwise a checkpoint will replace its weights.
    fn create(&self, seed: u64, initial: bool, splits: &Splits) -> Result<Created, Error>;

    /// Writes what checkpoints refer to into the folder of a run.
    fn install(&self, run: &Path) -> Result<(), Error>;

    /// Content of the checkpoints' `config.json`.
    fn model_config(&self) -> ModelConfig;

    /// Name and BLAKE3 hash of the pretrained weights, if there are any.
    fn pretrained(&self) -> Result<(String, Option<Hash>), Error>;
}
