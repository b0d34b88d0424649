//! Computes the features of frozen branches. The branch `patches` is trained, and not among them.

use std::borrow::Cow;
use std::path::Path;

use artifacts::hash::{self, Digest, Hash};
use model::HeatMap;
use pixels::RgbImage;
use rayon::prelude::*;
use vision::{PatchTokens, Tower};

use crate::batch::{BranchFeatures, FeatureBatch};
use crate::config::{BranchName, Crops, ModelConfig, VitConfig};
use crate::error::{Error, Result};
use crate::fusion::{FeatureGradient, Fusion};

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
    crops: Crops,
    weights: Hash,
}

impl Extractor {
    /// Opens the branches of `config`. `vit` is the file with the weights of the vision transformer, if the detector has
    /// one.
    ///
    /// # Errors
    /// The file cannot be read, is not a vision transformer, or lacks a configured block.
    pub fn open(config: &ModelConfig, vit: Option<&Path>) -> Result<Extractor> {
        let vit = if config.branches.contains(&BranchName::Vit) {
            Some(Vit::open(&config.vit, vit.ok_or(Error::VitWithoutWeights)?)?)
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
            (BranchName::Vit, Some(vit)) => vit.crops(),
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
        if let (BranchName::Vit, Some(Vit { layers, crops, weights, .. })) = (branch, &self.vit) {
            let layers: Vec<u8> = layers.iter().flat_map(|layer| (*layer as u64).to_le_bytes()).collect();
            digest = digest.part("layers", &layers).part("weights", weights.as_bytes());
            digest = digest.part("crops", format!("{crops:?}").as_bytes());
        }
        digest.finish()
    }

    /// Computes what each patch of the transformer's input adds to the margin of the branch `vit`, to first order: the
    /// product of the gradient with the difference between the patch's tokens and the mean over the training images. Class
    /// tokens and the centre of the image are left out, because their contributions have no place in the whole image.
    /// Returns the contributions and the input. `None` if there is no such branch.
    ///
    /// # Errors
    /// The vision transformer failed.
    pub(crate) fn patch_contributions(&self, image: &RgbImage, fusion: &Fusion) -> Result<Option<(HeatMap, RgbImage)>> {
        let Some(Vit { tower, layers, .. }) = &self.vit else { return Ok(None) };
        let input = tower.preprocessing().apply(image)?;
        let (config, grid) = (tower.config(), tower.grid());
        let PatchTokens { features, tokens } = tower.patch_tokens(input.data(), layers)?;
        let Some(FeatureGradient { gradient, mean }) = fusion.feature_gradient(BranchName::Vit, &features)? else {
            return Ok(None);
        };
        let mut values = vec![0.0; grid * grid];
        for (layer, tokens) in tokens.iter().enumerate() {
            // The mean patch token is the last summary of a block.
            let start = ((layer + 1) * config.summaries() - 1) * config.width;
            let (gradient, mean) = (&gradient[start..][..config.width], &mean[start..][..config.width]);
            for (value, token) in values.iter_mut().zip(tokens.chunks_exact(config.width)) {
                let terms = token.iter().zip(mean).zip(gradient).map(|((token, mean), slope)| slope * (token - mean));
                *value += terms.sum::<f32>() / (grid * grid) as f32;
            }
        }
        Ok(Some((HeatMap { values, height: grid, width: grid }, input)))
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
    fn open(config: &VitConfig, path: &Path) -> Result<Vit> {
        let tower = Tower::open(path)?;
        let depth = tower.config().depth;
        let last: Vec<usize> = (depth * 7 / 12 + 1..=depth).collect();
        let blocks = if config.layers.is_empty() { last } else { config.layers.clone() };
        if let Some(&layer) = blocks.iter().find(|&&block| block == 0 || block > depth) {
            return Err(Error::Layer { layer, depth });
        }
        let layers = blocks.into_iter().map(|block| block - 1).collect();
        Ok(Vit { tower, layers, crops: config.crops, weights: hash::file(path)? })
    }

    /// The number of parts of an image.
    fn crops(&self) -> usize {
        match self.crops {
            Crops::Whole => 1,
            Crops::Both => 2,
        }
    }

    /// The number of features of an image: for each part and each block, the class token and the mean of the patch tokens.
    fn width(&self) -> usize {
        let config = self.tower.config();
        self.crops() * self.layers.len() * config.summaries() * config.width
    }

    fn features(&self, pictures: &[Picture<'_>]) -> Result<BranchFeatures> {
        let parts: Vec<Vec<u8>> =
            pictures.par_iter().map(|picture| self.parts(&picture.image)).collect::<Result<_>>()?;
        let values = self.tower.features(&parts.concat(), parts.len() * self.crops(), &self.layers)?.layers;
        Ok(BranchFeatures { width: self.width(), values, present: vec![true; pictures.len()] })
    }

    /// The parts of an image at the size of the transformer's input, `[crops, side, side, 3]`.
    fn parts(&self, image: &RgbImage) -> Result<Vec<u8>> {
        let preprocessing = self.tower.preprocessing();
        let side = preprocessing.size as u32;
        let mut parts = preprocessing.apply(image)?.into_data();
        if self.crops == Crops::Both {
            let (width, height) = (image.width(), image.height());
            let native = (width >= side && height >= side)
                .then(|| pixels::degrade::crop(image, (width - side) / 2, (height - side) / 2, side, side).ok())
                .flatten();
            let second = native.map_or_else(|| parts.clone(), RgbImage::into_data);
            parts.extend_from_slice(&second);
        }
        Ok(parts)
    }
}
