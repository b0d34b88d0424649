//! Stored pixels of single images, for pairs that are shown.

use std::collections::BTreeMap;

use artifacts::schema::NearDuplicate;
use artifacts::shard::Shards;
use artifacts::{Label, RunDir, Split};

use crate::error::Error;
use crate::picture::{self, Picture};

/// An image as the shards have it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) label: Label,
    pub(crate) picture: Picture,
}

/// The images of `pairs` by their paths. Where the shards are gone (they are large, and not all who read a report have
/// them) there are none. Their digests are not computed again for it: the pictures are looked at, nothing is measured.
pub(crate) fn of_pairs(run: &RunDir, pairs: &[NearDuplicate]) -> Result<BTreeMap<String, Stored>, Error> {
    let mut wanted: BTreeMap<Split, Vec<&str>> = BTreeMap::new();
    for (split, path) in pairs.iter().flat_map(|pair| pair.splits.iter().zip(&pair.paths)) {
        wanted.entry(*split).or_default().push(path);
    }
    let mut found = BTreeMap::new();
    for (split, paths) in wanted {
        let Ok(shards) = Shards::open(&run.ingest(), split) else { continue };
        let [height, width] = shards.size();
        for (row, sample) in shards.samples().iter().enumerate().filter(|(_, s)| paths.contains(&s.path.as_str())) {
            let picture = picture::of_pixels(&sample.path, width as u32, height as u32, shards.pixels(row))?;
            found.insert(sample.path.clone(), Stored { label: sample.label, picture });
        }
    }
    Ok(found)
}
