//! Computes the features of frozen branches. Branches that are trained are not among them.

use std::borrow::Cow;
use std::path::Path;

use artifacts::hash::{self, Digest, Hash};
use kernels::Precision;
use model::HeatMap;
use model::device::Device;
use pixels::RgbImage;
use rayon::prelude::*;
use vision::Tower;

use crate::batch::{BranchFeatures, FeatureBatch};
use crate::config::{BranchName, ModelConfig, VitConfig};
use crate::error::{Error, Result};
use crate::fusion::Fusion;
use crate::vit::{self, VitInput};

/// Version of the features. Raise it when a change of code gives other features for the same images and weights, so
/// that stored features are computed again.
const FEATURES_VERSION: &str = "2";

/// An image file, and its pixels at native resolution.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// The encoded file.
    pub bytes: Cow<'a, [u8]>,
    /// The decoded image, after EXIF orientation.
    pub image: RgbImage,
}

impl<'a> From<pixels::Picture<'a>> for Picture<'a> {
    /// Takes file and native image of a picture. A picture without a file has an empty one, of which the branch `metadata`
    /// has no features. If only resized pixels are known, the native image is empty.
    fn from(picture: pixels::Picture<'a>) -> Picture<'a> {
        let image = picture.native.unwrap_or_else(|| RgbImage::from_fn(1, 1, |_, _| [0; 3]));
        Picture { bytes: picture.file.unwrap_or_default(), image }
    }
}

impl<'a> Picture<'a> {
    /// Decodes a file with the default limit on pixels.
    ///
    /// # Errors
    /// The file cannot be decoded. The error is a message for users.
    pub fn decode(bytes: &'a [u8]) -> std::result::Result<Picture<'a>, String> {
        let decoded = pixels::decode(bytes, &pixels::Limits::default()).map_err(|error| error.to_string())?;
        Ok(Picture { bytes: bytes.into(), image: decoded.rgb })
    }
}

/// Computes the features of all frozen branches of a detector.
#[derive(Debug)]
pub struct Extractor {
    branches: Vec<BranchName>,
    vit: Option<Vit>,
}

/// The branch `vit`.
#[derive(Debug)]
struct Vit {
    tower: Tower,
    /// Blocks, counted from 0.
    layers: Vec<usize>,
    input: VitInput,
    weights: Hash,
    precision: Precision,
}

impl Extractor {
    /// Opens the branches of `config`. `vit` is the file with the weights of the vision transformer, if the detector has
    /// one. It computes on the processor: in the precision of `device`, or in f32 if that is a card.
    ///
    /// # Errors
    /// The file cannot be read, is not a vision transformer, or lacks a configured block.
    pub fn open(config: &ModelConfig, vit: Option<&Path>, device: &Device) -> Result<Extractor> {
        let vit = if config.frozen_branches().any(|branch| branch == BranchName::Vit) {
            Some(Vit::open(&config.vit, vit.ok_or(Error::VitWithoutWeights)?, device)?)
        } else {
            None
        };
        Ok(Extractor { branches: config.frozen_branches().collect(), vit })
    }

    /// The branches with their numbers of features.
    pub fn branches(&self) -> Vec<(BranchName, usize)> {
        self.branches.iter().map(|&branch| (branch, self.width(branch))).collect()
    }

    fn width(&self, branch: BranchName) -> usize {
        match branch {
            BranchName::Vit => self.vit.as_ref().map_or(0, Vit::width),
            BranchName::Frequency => signals::frequency::feature_names().len(),
            BranchName::Metadata => signals::metadata::feature_names().len(),
            _ => 0,
        }
    }

    /// The number of features of each branch.
    pub fn widths(&self) -> Vec<usize> {
        self.branches().into_iter().map(|(_, width)| width).collect()
    }

    /// The number of parts of an image that each branch has features of. Each part has the same number of features.
    pub fn parts(&self) -> Vec<usize> {
        let parts = |branch: &BranchName| match (branch, &self.vit) {
            (BranchName::Vit, Some(vit)) => vit.input.count(),
            _ => 1,
        };
        self.branches.iter().map(parts).collect()
    }

    /// The BLAKE3 hash of the weights of the vision transformer.
    pub fn vit_weights(&self) -> Option<Hash> {
        self.vit.as_ref().map(|vit| vit.weights)
    }

    /// A digest of everything but the images that the features of a branch depend on.
    pub(crate) fn digest(&self, branch: BranchName) -> Hash {
        let mut digest = Digest::default().part("version", FEATURES_VERSION.as_bytes());
        digest = digest.part("branch", branch.name().as_bytes());
        if let (BranchName::Vit, Some(Vit { layers, input, weights, precision, .. })) = (branch, &self.vit) {
            let layers: Vec<u8> = layers.iter().flat_map(|layer| (*layer as u64).to_le_bytes()).collect();
            digest = digest.part("layers", &layers).part("weights", weights.as_bytes());
            digest = digest.part("crops", format!("{:?}", input.crops).as_bytes());
            if *precision == Precision::Bf16 {
                digest = digest.part("precision", b"bf16");
            }
        }
        digest.finish()
    }

    /// Computes what each patch of the transformer's input adds to the margin of the branch `vit`, see
    /// [`vit::patch_contributions`]. `None` if there is no such frozen branch.
    ///
    /// # Errors
    /// The vision transformer failed.
    pub(crate) fn patch_contributions(&self, image: &RgbImage, fusion: &Fusion) -> Result<Option<(HeatMap, RgbImage)>> {
        let Some(Vit { tower, layers, .. }) = &self.vit else { return Ok(None) };
        vit::patch_contributions(tower, layers, image, |features| fusion.feature_gradient(BranchName::Vit, features))
    }

    /// Computes the features of some images.
    ///
    /// # Errors
    /// The vision transformer failed.
    pub fn features(&self, pictures: &[Picture<'_>]) -> Result<FeatureBatch> {
        let branches = self.branches.iter().map(|&branch| self.features_of(branch, pictures));
        Ok(FeatureBatch { branches: branches.collect::<Result<_>>()? })
    }

    /// Computes the features of one branch for some images.
    ///
    /// # Errors
    /// The vision transformer failed.
    pub(crate) fn features_of(&self, branch: BranchName, pictures: &[Picture<'_>]) -> Result<BranchFeatures> {
        let width = self.width(branch);
        match (branch, &self.vit) {
            (BranchName::Vit, Some(vit)) => vit.features(pictures),
            (BranchName::Frequency, _) => {
                Ok(collect(width, pictures, |picture| signals::frequency::features(&picture.image)))
            }
            (BranchName::Metadata, _) => {
                Ok(collect(width, pictures, |picture| signals::metadata::features(&picture.bytes)))
            }
            _ => Ok(BranchFeatures::new(width)),
        }
    }
}

/// Computes the features of each image in parallel.
fn collect(
    width: usize,
    pictures: &[Picture<'_>],
    features: impl Fn(&Picture<'_>) -> Option<Vec<f32>> + Sync,
) -> BranchFeatures {
    let rows: Vec<Option<Vec<f32>>> = pictures.par_iter().map(&features).collect();
    let mut collected = BranchFeatures::new(width);
    rows.iter().for_each(|row| collected.push(row.as_deref()));
    collected
}

impl Vit {
    fn open(config: &VitConfig, path: &Path, device: &Device) -> Result<Vit> {
        let precision = device.processor_precision();
        let tower = Tower::open_in(path, precision)?;
        let layers = vit::layers(config, tower.config().depth)?;
        let input = VitInput { preprocessing: *tower.preprocessing(), crops: config.crops };
        Ok(Vit { tower, layers, input, weights: hash::file(path)?, precision })
    }

    /// The number of features of an image: those of all parts.
    fn width(&self) -> usize {
        self.input.count() * vit::width_of_part(self.tower.config(), &self.layers)
    }

    fn features(&self, pictures: &[Picture<'_>]) -> Result<BranchFeatures> {
        let parts: Vec<Vec<u8>> =
            pictures.par_iter().map(|picture| self.input.parts(&picture.image)).collect::<Result<_>>()?;
        let values = self.tower.features(&parts.concat(), parts.len() * self.input.count(), &self.layers)?.layers;
        Ok(BranchFeatures { width: self.width(), values, present: vec![true; pictures.len()] })
    }
}
