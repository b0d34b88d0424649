//! The features of all images of a split, computed where they are not stored yet.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use artifacts::Split;
use artifacts::hash::{Digest, Hash};
use artifacts::progress::Progress;
use artifacts::random;
use artifacts::shard::{Sample, Shards};
use exchange::Exchange;
use rayon::prelude::*;
use signals::augment::{self, AugmentConfig};

use crate::batch::{BranchFeatures, FeatureBatch};
use crate::config::BranchName;
use crate::error::{Error, Result};
use crate::extractor::{Extractor, Picture};
use crate::feature_store::{CHUNK, FeatureStore};

/// The number of images that are decoded and computed at once.
const BATCH: usize = 16;

/// One version of each image.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// The image as it is.
    Plain,
    /// A randomly changed image. The changes depend on the seed, the number of the view and the image's content.
    Changed {
        /// The changes.
        config: AugmentConfig,
        /// The seed.
        seed: u64,
    },
}

impl View {
    /// The name of the view number `index` in a store.
    fn name(&self, index: usize) -> String {
        match self {
            View::Plain => "plain".to_owned(),
            View::Changed { config, seed } => {
                let text = serde_json::json!({ "config": config, "seed": seed, "index": index }).to_string();
                format!("changed-{}", Hash::of(text.as_bytes()).short())
            }
        }
    }

    /// Decodes the stored file of an image and applies the changes of the view number `index`.
    ///
    /// # Errors
    /// The file cannot be decoded or changed.
    pub fn picture<'a>(&self, index: usize, sample: &Sample, bytes: &'a [u8]) -> Result<Picture<'a>> {
        let failed = |detail: String| Error::Decode { path: sample.path.clone(), detail };
        let image = Picture::decode(bytes).map_err(failed)?.image;
        let plain = Picture { bytes: bytes.into(), image };
        let View::Changed { config, seed } = self else { return Ok(plain) };
        let mut key = [0; 8];
        key.copy_from_slice(&sample.id.as_bytes()[..8]);
        let mut random = random::stream(*seed, "view", &[index as u64, u64::from_le_bytes(key)]);
        let augmented =
            augment::augment(&plain.image, config, &mut random).map_err(|error| failed(error.to_string()))?;
        Ok(match augmented {
            None => plain,
            Some(augmented) => {
                Picture { bytes: augmented.file.map_or(plain.bytes, Cow::Owned), image: augmented.image }
            }
        })
    }
}

/// The stored features of all frozen branches for the images of a split.
#[derive(Debug)]
pub struct StoredFeatures {
    /// One store for each branch, in the configured order.
    stores: Vec<FeatureStore>,
    widths: Vec<usize>,
    rows: usize,
    views: usize,
}

impl StoredFeatures {
    /// The number of features of each branch.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The number of views.
    pub fn views(&self) -> usize {
        self.views
    }

    /// Appends the features of an image to `to`.
    ///
    /// # Errors
    /// The features cannot be read.
    pub fn read(&self, view: usize, row: usize, to: &mut FeatureBatch) -> Result<()> {
        self.stores.iter().zip(&mut to.branches).try_for_each(|(store, to)| store.read(view, row, to))
    }
}

/// Opens the stored features of a split, in the folder `root`, and computes what is missing. Calls `stop` after each chunk
/// of images; if it returns `true`, ends and returns `None`. What was computed is kept. `label` is shown beside the
/// progress bar. All processes of `exchange` must call this; each computes some of the chunks, and sees those of the
/// others in the same folder.
///
/// # Errors
/// The shards hold no files, a file cannot be decoded, a chunk cannot be written or is missing, or the processes would
/// compute different features.
pub fn stored_features(
    root: &Path,
    extractor: &Extractor,
    shards: &Shards,
    views: &[View],
    label: &str,
    exchange: &dyn Exchange,
    stop: &dyn Fn() -> bool,
) -> Result<Option<StoredFeatures>> {
    let split = shards.samples().first().map_or(Split::Train, |sample| sample.split);
    let mut images = Digest::default();
    for sample in shards.samples() {
        images = images.part("id", sample.id.as_bytes());
    }
    let images = images.finish();
    let names: Vec<String> = views.iter().enumerate().map(|(index, view)| view.name(index)).collect();
    let key = |branch: BranchName| {
        let digest = extractor.digest(branch);
        Digest::default().part("branch", digest.as_bytes()).part("images", images.as_bytes()).finish()
    };
    let keys: Vec<u8> = extractor.branches().iter().flat_map(|(branch, _)| *key(*branch).as_bytes()).collect();
    if !exchange.is_equal(&keys) {
        return Err(Error::DifferentFeatures);
    }
    let open = |(branch, width): (BranchName, usize)| {
        FeatureStore::open(root, key(branch), (split, shards.len()), (branch, width), names.clone())
    };
    let open = || extractor.branches().into_iter().map(open).collect::<Result<Vec<_>>>();
    let mut stores = open()?;
    let mut ended = [!precompute(&mut stores, extractor, shards, views, label, exchange, stop)? || stop()];
    exchange.agree(&mut ended);
    if ended[0] {
        return Ok(None);
    }
    if exchange.world() > 1 {
        stores = open()?;
        if let Some((_, rows)) = stores.iter().find_map(|store| store.missing().pop()) {
            return Err(Error::MissingFeatures { root: root.to_owned(), rows });
        }
    }
    Ok(Some(StoredFeatures { stores, widths: extractor.widths(), rows: shards.len(), views: views.len() }))
}

/// Computes this process's share of the features that the stores lack. Returns `false` if `stop` ended it.
fn precompute(
    stores: &mut [FeatureStore],
    extractor: &Extractor,
    shards: &Shards,
    views: &[View],
    label: &str,
    exchange: &dyn Exchange,
    stop: &dyn Fn() -> bool,
) -> Result<bool> {
    // For each view and each first row of a chunk, the end of the chunk and the stores that lack it. Each image is decoded
    // once for all of them.
    let mut missing: BTreeMap<(usize, usize), (usize, Vec<usize>)> = BTreeMap::new();
    for (index, store) in stores.iter().enumerate() {
        // The share depends on the numbers of view and chunk only: what is missing changes while others compute.
        let own = |view: usize, rows: &Range<usize>| (view + rows.start / CHUNK) % exchange.world() == exchange.rank();
        for (view, rows) in store.missing().into_iter().filter(|(view, rows)| own(*view, rows)) {
            missing.entry((view, rows.start)).or_insert((rows.end, Vec::new())).1.push(index);
        }
    }
    let images: usize = missing.iter().map(|((_, start), (end, _))| end - start).sum();
    if images == 0 {
        return Ok(true);
    }
    let progress = Progress::new(label, "images", Some(images as u64));
    for ((view, start), (end, lacking)) in missing {
        let widths = extractor.widths();
        let mut features: Vec<BranchFeatures> =
            lacking.iter().map(|&index| BranchFeatures::new(widths[index])).collect();
        let rows: Vec<usize> = (start..end).collect();
        for batch in rows.chunks(BATCH) {
            let open = |&row: &usize| {
                let bytes = shards.file(row).ok_or_else(|| no_files(extractor))?;
                views[view].picture(view, shards.sample(row), bytes)
            };
            let pictures: Vec<Picture<'_>> = batch.par_iter().map(open).collect::<Result<_>>()?;
            for (&index, features) in lacking.iter().zip(&mut features) {
                features.append(&extractor.features_of(stores[index].branch(), &pictures)?);
            }
            progress.add(batch.len() as u64);
        }
        for (index, features) in lacking.into_iter().zip(&features) {
            stores[index].write(view, &(start..end), features)?;
        }
        if stop() {
            progress.clear();
            return Ok(false);
        }
    }
    progress.finish();
    Ok(true)
}

fn no_files(extractor: &Extractor) -> Error {
    let names: Vec<&str> = extractor.branches().iter().map(|(branch, _)| branch.name()).collect();
    Error::NoFiles { branches: names.join(", ") }
}
