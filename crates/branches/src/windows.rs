//! Windows of images at native resolution, the input of the branch `patches`.

use artifacts::random::Stream;
use pixels::RgbImage;
use rayon::prelude::*;
use signals::patches::{self, Window};

use crate::config::PatchesConfig;
use crate::extractor::Picture;

/// The windows of some images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// The residuals of all windows, `[sum of counts, side, side, 3]`.
    pub pixels: Vec<u8>,
    /// `[n]`: the number of windows of each image. An image that is smaller than a window has none.
    pub counts: Vec<usize>,
}

impl Windows {
    /// Appends an image. `pixels` holds the residuals of its `count` windows.
    pub fn push(&mut self, pixels: &[u8], count: usize) {
        self.pixels.extend_from_slice(pixels);
        self.counts.push(count);
    }

    /// Removes all images, and keeps the memory.
    pub fn clear(&mut self) {
        self.pixels.clear();
        self.counts.clear();
    }
}

impl PatchesConfig {
    /// Cuts the windows of an image for inference: half of them those of the richest texture, the others those of the
    /// poorest.
    pub fn by_texture(&self, image: &RgbImage) -> Vec<Window> {
        patches::by_texture(image, self.side as u32, self.count)
    }

    /// Cuts the windows of an image for training, at random positions.
    pub fn at_random(&self, image: &RgbImage, random: &mut Stream) -> Vec<Window> {
        patches::at_random(image, self.side as u32, self.count, random)
    }

    /// Computes the residuals of windows, one after the other.
    pub fn residuals(&self, windows: &[Window]) -> Vec<u8> {
        windows.iter().flat_map(|window| self.residual.of(&window.pixels, self.side)).collect()
    }

    /// Cuts the windows of some pictures by texture, in parallel.
    pub fn of_pictures(&self, pictures: &[Picture<'_>]) -> Windows {
        let cut = |picture: &Picture<'_>| {
            let windows = self.by_texture(&picture.image);
            (self.residuals(&windows), windows.len())
        };
        let mut all = Windows::default();
        for (pixels, count) in pictures.par_iter().map(cut).collect::<Vec<_>>() {
            all.push(&pixels, count);
        }
        all
    }
}
