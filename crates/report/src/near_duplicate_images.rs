//! The images of near-duplicate pairs, read from the shards.

use std::collections::BTreeMap;

use artifacts::schema::NearDuplicate;
use artifacts::shard::Shards;
use artifacts::{Label, RunDir, Split};

use crate::embedded_image::{self, EmbeddedImage};
use crate::error::Error;

/// An image as stored in the shards.
#[derive(Clone, Debug)]
pub(crate) struct StoredImage {
    pub(crate) label: Label,
    pub(crate) image: EmbeddedImage,
}

/// Reads the images of `pairs` and returns them by their paths in the source.
///
/// Skips splits whose shards cannot be opened: shards are large, and a run may be passed on without them. Does not
/// verify the shards' digests, because nothing is computed from these images.
pub(crate) fn read(run: &RunDir, pairs: &[NearDuplicate]) -> Result<BTreeMap<String, StoredImage>, Error> {
    let mut wanted: BTreeMap<Split, Vec<&str>> = BTreeMap::new();
    for (split, path) in pairs.iter().flat_map(|pair| pair.splits.iter().zip(&pair.paths)) {
        wanted.entry(*split).or_default().push(path);
    }
    let mut images = BTreeMap::new();
    for (split, paths) in wanted {
        let Ok(shards) = Shards::open(&run.ingest(), split) else { continue };
        let [height, width] = shards.size();
        for (row, sample) in shards.samples().iter().enumerate().filter(|(_, s)| paths.contains(&s.path.as_str())) {
            let pixels = shards.pixels(row);
            let image = embedded_image::from_rgb_pixels(&sample.path, width as u32, height as u32, pixels)?;
            images.insert(sample.path.clone(), StoredImage { label: sample.label, image });
        }
    }
    Ok(images)
}
