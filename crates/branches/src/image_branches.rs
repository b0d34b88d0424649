//! The parameters of a detector for writing it in the format of another program. Only the branches `vit` and the ResNets,
//! which see resized images, may take part in its verdict.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::Checkpoint;
use candle_core::Tensor;
use model::device::Device;
use model::{NetworkConfig, Normalisation};
use vision::{FineTuning, TowerTensors};

use crate::backbone;
use crate::checkpoint::{Description, read_tensors};
use crate::config::{BranchName, ModelConfig};
use crate::error::{Error, Result};
use crate::fusion::Fusion;
use crate::head_tensors::HeadTensors;
use crate::network_branch::NetworkBranch;
use crate::trained_branch::TrainedBranch;
use crate::tuned_vit::TunedVit;
use crate::vit::layers;

/// A branch that takes part in the verdict. The margin of an image is the mean of the branches' margins, weighted with
/// `weight`; the logits are `[-margin / 2, margin / 2]`.
#[derive(Clone, Debug)]
pub struct ImageBranch {
    /// The weight in the fused margin.
    pub weight: f64,
    /// What computes the margin.
    pub network: ImageNetwork,
}

/// The network of a branch.
#[derive(Clone, Debug)]
pub enum ImageNetwork {
    /// The branch `vit`.
    Vit(Box<VitTensors>),
    /// A ResNet beside other branches.
    Resnet(ResnetTensors),
}

/// A vision transformer and its head.
///
/// The features of a part of an image are, for each block of `layers`, the class token after the block, if there is one, and
/// the mean of its patch tokens. The margin of an image is the mean of the margins of its parts.
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

/// A ResNet and its head: the margin is `weight · features + bias`.
#[derive(Clone, Debug)]
pub struct ResnetTensors {
    /// The architecture.
    pub architecture: String,
    /// The prefix of the names of its tensors in `model.safetensors`, which follow torchvision's names.
    pub prefix: String,
    /// Height and width of the input in pixels. Images are resized by their shorter side, bicubic, and cropped.
    pub side: usize,
    /// The normalisation of the input.
    pub normalisation: Normalisation,
    /// `[features]`.
    pub weight: Vec<f32>,
    /// Added to the margin.
    pub bias: f32,
}

impl ImageBranch {
    /// Reads the branches of a checkpoint that take part in the verdict. `description` is the one in its `config.json`.
    /// `None` if one of them does not see resized images, or there is none.
    ///
    /// # Errors
    /// As [`BranchDetector::open`](crate::BranchDetector::open).
    pub fn read_all(checkpoint: &Checkpoint, description: &Description) -> Result<Option<Vec<ImageBranch>>> {
        let Description { model, vit } = description;
        let mut fused = model.fused_branches().peekable();
        if fused.peek().is_none() || !fused.all(|branch| branch == BranchName::Vit || branch.is_resnet()) {
            return Ok(None);
        }
        let vit = vit.map(|wanted| backbone::find(checkpoint, model, wanted)).transpose()?;
        let tensors = read_tensors(&checkpoint.weights())?;
        let fusion = Fusion::load(model, &tensors)?;
        let mut branches = Vec::new();
        for fused in fusion.weights().iter().filter(|branch| branch.fused) {
            let network = match fused.branch {
                BranchName::Vit => {
                    let path = vit.as_deref().ok_or(Error::VitWithoutWeights)?;
                    ImageNetwork::Vit(Box::new(VitTensors::read(model, path, &fusion, &tensors)?))
                }
                name => {
                    let mut resnet = NetworkBranch::resnet(name, &model.resnet, None, &Device::Cpu, 0)?;
                    resnet.load(&tensors)?;
                    let (weight, bias) = resnet.evidence_head()?;
                    ImageNetwork::Resnet(ResnetTensors {
                        architecture: name.name().to_owned(),
                        prefix: resnet.network_prefix(),
                        side: model.resnet.size,
                        normalisation: NetworkConfig::default().normalisation,
                        weight,
                        bias,
                    })
                }
            };
            branches.push(ImageBranch { weight: fused.weight, network });
        }
        Ok(Some(branches))
    }
}

impl VitTensors {
    fn read(
        model: &ModelConfig,
        path: &Path,
        fusion: &Fusion,
        tensors: &BTreeMap<String, Tensor>,
    ) -> Result<VitTensors> {
        let (tower, head) = match fusion.head_tensors(BranchName::Vit)? {
            Some(head) => (TowerTensors::read(path, &FineTuning::Frozen, &BTreeMap::new())?, head),
            None => {
                let mut vit = TunedVit::open(&model.vit, path, 0)?;
                vit.load(tensors)?;
                (vit.tower_tensors(path, tensors)?, vit.head_tensors()?)
            }
        };
        let layers = layers(&model.vit, tower.config.depth)?;
        Ok(VitTensors { tower, layers, parts: model.vit.crops.count(), head })
    }
}
