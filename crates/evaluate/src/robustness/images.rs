//! The images of a sweep: their original files where these are still there, their stored pixels otherwise.

use std::path::Path;

use artifacts::Label;
use artifacts::hash::Hash;
use artifacts::shard::Shards;
use pixels::{Limits, RgbImage, decode};

use super::originals::Originals;

/// Some images of a split.
pub(super) struct Images<'a> {
    shards: &'a Shards,
    rows: Vec<usize>,
    originals: Originals,
}

impl<'a> Images<'a> {
    /// At most `limit` images, as many of either class as there are up to half of it, chosen by the hash of their files.
    /// `files` is the folder or the zip that ingest read.
    pub(super) fn choose(shards: &'a Shards, limit: usize, files: Option<&Path>) -> Images<'a> {
        let mut rows: Vec<usize> = Label::ALL
            .into_iter()
            .flat_map(|class| {
                let mut of_class: Vec<usize> =
                    (0..shards.len()).filter(|&row| shards.sample(row).label == class).collect();
                of_class.sort_by_key(|&row| *shards.sample(row).id.as_bytes());
                of_class.truncate(limit.div_ceil(2));
                of_class
            })
            .collect();
        rows.sort_unstable();
        Images { shards, rows, originals: Originals::open(files) }
    }

    /// The row of each image in the shards.
    pub(super) fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// An image of the shards by its row: from its file if that is still the one that was ingested, which is said too.
    pub(super) fn load(&self, row: usize) -> (RgbImage, bool) {
        self.original(row).map_or_else(|| (self.stored(row), false), |image| (image, true))
    }

    /// Whether the original file is there and unchanged.
    pub(super) fn is_from_file(&self, row: usize) -> bool {
        self.original(row).is_some()
    }

    fn original(&self, row: usize) -> Option<RgbImage> {
        let sample = self.shards.sample(row);
        let bytes = self.originals.read(&sample.path)?;
        if Hash::of(&bytes) != sample.id {
            return None;
        }
        // Ingest has decoded it within its own limit, whatever that was.
        decode(&bytes, &Limits { max_pixels: u64::MAX }).ok().map(|decoded| decoded.rgb)
    }

    fn stored(&self, row: usize) -> RgbImage {
        let [height, width] = self.shards.size();
        let pixels = self.shards.pixels(row);
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let at = (y as usize * width + x as usize) * 3;
            [pixels[at], pixels[at + 1], pixels[at + 2]]
        })
    }
}
