//! What the trained branches see of an image: windows at native resolution, or the whole image at one size.

use artifacts::random::Stream;
use pixels::{Filter, Fit, RgbImage, resize};
use rayon::prelude::*;
use signals::patches;

use crate::config::{BranchName, ModelConfig, PatchesConfig};
use crate::error::Result;
use crate::extractor::Picture;
use crate::vit::VitInput;

/// The parts of some images that one branch sees, all of the same size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// The pixels of all parts, or their residuals: `[sum of counts, side, side, 3]`.
    pub pixels: Vec<u8>,
    /// `[n]`: the number of parts of each image. An image that is too small for the branch has none.
    pub counts: Vec<usize>,
}

impl Windows {
    /// Appends an image. `pixels` holds its `count` parts.
    pub fn push(&mut self, pixels: &[u8], count: usize) {
        self.pixels.extend_from_slice(pixels);
        self.counts.push(count);
    }
}

/// The inputs of all trained branches for some images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainedInputs {
    /// One entry for each branch of [`ModelConfig::trained_branches`].
    pub branches: Vec<Windows>,
}

impl TrainedInputs {
    /// Removes all images, and keeps the memory.
    pub fn clear(&mut self) {
        for windows in &mut self.branches {
            windows.pixels.clear();
            windows.counts.clear();
        }
    }

    /// Appends an image, the result of [`InputCutter::cut`].
    pub fn push(&mut self, cuts: &[Cut]) {
        self.branches.resize(cuts.len(), Windows::default());
        for (windows, cut) in self.branches.iter_mut().zip(cuts) {
            windows.push(&cut.pixels, cut.count);
        }
    }
}

/// The input of one branch for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// `[count, side, side, 3]`.
    pixels: Vec<u8>,
    count: usize,
}

/// Cuts the inputs of the trained branches from images.
#[derive(Clone, Debug)]
pub struct InputCutter {
    branches: Vec<Kind>,
}

/// How the input of a branch is cut.
#[derive(Clone, Debug)]
enum Kind {
    Patches(PatchesConfig),
    /// The whole image, resized to this side.
    Resized(u32),
    Vit(VitInput),
}

impl InputCutter {
    /// Creates the cutter of a detector. `vit` is the input of the vision transformer, if it is trained.
    pub(crate) fn new(config: &ModelConfig, vit: Option<VitInput>) -> InputCutter {
        let kind = |branch| match (branch, vit) {
            (BranchName::Patches, _) => Some(Kind::Patches(config.patches.clone())),
            (BranchName::Vit, vit) => vit.map(Kind::Vit),
            _ => Some(Kind::Resized(config.resnet.size as u32)),
        };
        InputCutter { branches: config.trained_branches().filter_map(kind).collect() }
    }

    /// Whether there is no trained branch.
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    /// Cuts the input of each branch. Windows are at random positions with `random`, as training takes them. Otherwise,
    /// half of them are those of the richest texture and the others those of the poorest.
    ///
    /// # Errors
    /// The image cannot be resized.
    pub fn cut(&self, image: &RgbImage, mut random: Option<&mut Stream>) -> Result<Vec<Cut>> {
        let cut = |kind: &Kind| match kind {
            Kind::Patches(config) => {
                let side = config.side as u32;
                let windows = match random.as_deref_mut() {
                    Some(random) => patches::at_random(image, side, config.count, random),
                    None => patches::by_texture(image, side, config.count),
                };
                Ok(Cut { pixels: config.residuals(&windows), count: windows.len() })
            }
            Kind::Resized(side) => {
                let pixels = resize(image, *side, Filter::Bicubic, Fit::Crop).map_err(vision::Error::from)?;
                Ok(Cut { pixels: pixels.into_data(), count: 1 })
            }
            Kind::Vit(input) => Ok(Cut { pixels: input.parts(image)?, count: input.count() }),
        };
        self.branches.iter().map(cut).collect()
    }

    /// Cuts the inputs of some pictures for inference, in parallel.
    ///
    /// # Errors
    /// An image cannot be resized.
    pub fn of_pictures(&self, pictures: &[Picture<'_>]) -> Result<TrainedInputs> {
        let cuts: Vec<Vec<Cut>> =
            pictures.par_iter().map(|picture| self.cut(&picture.image, None)).collect::<Result<_>>()?;
        let mut inputs = TrainedInputs::default();
        cuts.iter().for_each(|cuts| inputs.push(cuts));
        Ok(inputs)
    }
}

impl PatchesConfig {
    /// Computes the residuals of windows, one after the other.
    pub(crate) fn residuals(&self, windows: &[patches::Window]) -> Vec<u8> {
        windows.iter().flat_map(|window| self.residual.of(&window.pixels, self.side)).collect()
    }
}
