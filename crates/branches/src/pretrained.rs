//! The trained branches of a detector, which start with pretrained weights where there are any.

use std::path::PathBuf;

use model::device::Device;

use crate::config::{BranchName, ModelConfig};
use crate::error::{Error, Result};
use crate::inputs::TrainedInputs;
use crate::network_branch::{NetworkBranch, ResnetWeights};
use crate::trained_branch::TrainedBranch;
use crate::tuned_vit::TunedVit;

/// The files with pretrained weights, as far as a detector has such branches.
#[derive(Clone, Debug, Default)]
pub struct PretrainedFiles {
    /// The vision transformer.
    pub vit: Option<PathBuf>,
    /// The ResNet. Without a file, it starts with random weights.
    pub resnet: Option<ResnetWeights>,
}

/// The trained branches of a detector, in the order of [`ModelConfig::trained_branches`].
#[derive(Debug)]
pub(crate) struct TrainedBranches(Vec<(BranchName, Box<dyn TrainedBranch>)>);

impl TrainedBranches {
    /// Creates untrained branches. Their weights depend on the files and the seed only. Convolutional networks
    /// compute on the processor: in the precision of `device`, or in f32 if that is a card.
    ///
    /// # Errors
    /// A file cannot be read, or memory cannot be allocated.
    pub(crate) fn create(
        config: &ModelConfig,
        files: &PretrainedFiles,
        device: &Device,
        seed: u64,
    ) -> Result<TrainedBranches> {
        let processor = if device.is_cpu() { device } else { &Device::Cpu };
        let create = |name: BranchName| -> Result<(BranchName, Box<dyn TrainedBranch>)> {
            let branch: Box<dyn TrainedBranch> = match name {
                BranchName::Patches => Box::new(NetworkBranch::patches(&config.patches, processor, seed)?),
                BranchName::Vit => {
                    let path = files.vit.as_deref().ok_or(Error::VitWithoutWeights)?;
                    Box::new(TunedVit::open(&config.vit, path, seed)?)
                }
                _ => {
                    let weights = files.resnet.as_ref();
                    Box::new(NetworkBranch::resnet(name, &config.resnet, weights, processor, seed)?)
                }
            };
            Ok((name, branch))
        };
        Ok(TrainedBranches(config.trained_branches().map(create).collect::<Result<_>>()?))
    }

    /// The branches.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn TrainedBranch> {
        self.0.iter().map(|(_, branch)| &**branch)
    }

    /// The branches with their names, to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (BranchName, &mut dyn TrainedBranch)> {
        self.0.iter_mut().map(|(name, branch)| (*name, &mut **branch as _))
    }

    /// Computes the margins of each branch.
    pub(crate) fn margins(&mut self, inputs: &TrainedInputs) -> Result<Vec<Vec<Option<f32>>>> {
        self.iter_mut().zip(&inputs.branches).map(|((_, branch), inputs)| branch.margins(inputs)).collect()
    }
}
