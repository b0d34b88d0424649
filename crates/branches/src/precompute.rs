//! Fills a store with the features of all images of a split.

use std::borrow::Cow;
use std::path::Path;

use artifacts::Split;
use artifacts::hash::{Digest, Hash};
use artifacts::progress::Progress;
use artifacts::random;
use artifacts::shard::{Sample, Shards};
use rayon::prelude::*;
use signals::augment::{self, AugmentConfig};

use crate::batch::FeatureBatch;
use crate::error::{Error, Result};
use crate::extractor::{Extractor, Picture};
use crate::feature_store::FeatureStore;

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

/// Opens the store of the features of a split, in the folder `root`, and computes what it lacks. Calls `stop` after each
/// chunk of images; if it returns `true`, ends and returns `None`. What was computed is kept. `label` is shown beside
/// the progress bar.
///
/// # Errors
/// The shards hold no files, a file cannot be decoded, or a chunk cannot be written.
pub fn stored_features(
    root: &Path,
    extractor: &Extractor,
    shards: &Shards,
    views: &[View],
    label: &str,
    stop: &dyn Fn() -> bool,
) -> Result<Option<FeatureStore>> {
    let split = shards.samples().first().map_or(Split::Train, |sample| sample.split);
    let mut images = Digest::default();
    for sample in shards.samples() {
        images = images.part("id", sample.id.as_bytes());
    }
    let key = Digest::default()
        .part("branches", extractor.digest().as_bytes())
        .part("images", images.finish().as_bytes())
        .finish();
    let names = views.iter().enumerate().map(|(index, view)| view.name(index)).collect();
    let mut store = FeatureStore::open(root, key, (split, shards.len()), extractor.branches(), names)?;
    Ok(precompute(&mut store, extractor, shards, views, label, stop)?.then_some(store))
}

/// Computes the features that the store lacks. Returns `false` if `stop` ended it.
fn precompute(
    store: &mut FeatureStore,
    extractor: &Extractor,
    shards: &Shards,
    views: &[View],
    label: &str,
    stop: &dyn Fn() -> bool,
) -> Result<bool> {
    let missing = store.missing();
    let images: usize = missing.iter().map(|(_, rows)| rows.len()).sum();
    if images == 0 {
        return Ok(true);
    }
    let progress = Progress::new(label, "images", Some(images as u64));
    for (index, rows) in missing {
        let mut features = FeatureBatch::new(&extractor.widths());
        let all: Vec<usize> = rows.clone().collect();
        for batch in all.chunks(BATCH) {
            let open = |&row: &usize| {
                let bytes = shards.file(row).ok_or_else(|| no_files(extractor))?;
                views[index].picture(index, shards.sample(row), bytes)
            };
            let pictures: Vec<Picture<'_>> = batch.par_iter().map(open).collect::<Result<_>>()?;
            features.append(&extractor.features(&pictures)?);
            progress.add(batch.len() as u64);
        }
        store.write(index, &rows, &features)?;
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
