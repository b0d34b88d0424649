//! Creates the trained branches of a detector, with pretrained weights where there are any.

use std::path::PathBuf;

use crate::config::{BranchName, ModelConfig};
use crate::error::{Error, Result};
use crate::network_branch::NetworkBranch;
use crate::trained_branch::TrainedBranch;
use crate::tuned_vit::TunedVit;

/// The files with pretrained weights, as far as a detector has such branches.
#[derive(Clone, Debug, Default)]
pub struct PretrainedFiles {
    /// The vision transformer.
    pub vit: Option<PathBuf>,
    /// The ResNet. Without a file, it starts with random weights.
    pub resnet: Option<PathBuf>,
}

/// Creates the trained branches of a detector. Their weights depend on the files and the seed only.
///
/// # Errors
/// A file cannot be read, or memory cannot be allocated.
pub(crate) fn create_trained(
    config: &ModelConfig,
    files: &PretrainedFiles,
    seed: u64,
) -> Result<Vec<(BranchName, Box<dyn TrainedBranch>)>> {
    let create = |branch: BranchName| -> Result<(BranchName, Box<dyn TrainedBranch>)> {
        let created: Box<dyn TrainedBranch> = match branch {
            BranchName::Patches => Box::new(NetworkBranch::patches(&config.patches, seed)?),
            BranchName::Vit => {
                let path = files.vit.as_deref().ok_or(Error::VitWithoutWeights)?;
                Box::new(TunedVit::open(&config.vit, path, seed)?)
            }
            _ => Box::new(NetworkBranch::resnet(branch, &config.resnet, files.resnet.as_deref(), seed)?),
        };
        Ok((branch, created))
    };
    config.trained_branches().map(create).collect()
}
