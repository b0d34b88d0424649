//! The images of a robustness sweep: original files from the shards or the source. If an original file is not found, the
//! re-encoded file or the stored pixels take its place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use artifacts::hash::Hash;
use artifacts::progress;
use artifacts::shard::Shards;
use artifacts::{Label, Manifest};
use pixels::degrade::{DegradeError, Degraded};
use pixels::{Picture, Recipe, RgbImage};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use sources::{Source, SourceConfig};

/// The largest total size in bytes of the files that are kept in memory. Other files are read again for each level of
/// each operation.
const MAX_CACHED_BYTES: usize = 256 << 20;

/// Some images of a split.
pub(super) struct Images<'a> {
    shards: &'a Shards,
    /// How an original file becomes pixels.
    recipe: Recipe,
    source: Option<Box<dyn Source>>,
    images: Vec<Image>,
}

/// One image of the sweep.
struct Image {
    /// The row in the shards.
    row: usize,
    /// The original file, if it was found.
    original: Option<Original>,
}

/// The original file of an image.
enum Original {
    /// The shards have it.
    InShards,
    /// The source has it.
    InSource {
        /// The index in the source.
        index: usize,
        /// The bytes, if they are kept in memory.
        bytes: Option<Vec<u8>>,
    },
}

impl<'a> Images<'a> {
    /// Chooses at most `limit` images, half of each class, by the hash of their files; an odd `limit` is rounded up.
    /// Finds their original files in the shards, or else in the source that the manifest `ingest` describes, and prints
    /// how many were not found.
    pub(super) fn choose(shards: &'a Shards, limit: usize, ingest: &Manifest, recipe: Recipe) -> Images<'a> {
        let rows = choose_rows(shards, limit);
        // Re-encoded files are not original.
        let is_original = |row: &usize| shards.file(*row).is_some_and(|file| Hash::of(file) == shards.sample(*row).id);
        if rows.par_iter().all(is_original) {
            let images = rows.into_iter().map(|row| Image { row, original: Some(Original::InShards) }).collect();
            return Images { shards, recipe, source: None, images };
        }
        let (source, error) = match reopen(ingest) {
            Ok(source) => (Some(source), None),
            Err(error) => (None, Some(error)),
        };
        let images = find_originals(shards, &rows, source.as_deref(), &recipe);
        let images = Images { shards, recipe, source, images };
        images.report_missing(ingest, error);
        images
    }

    /// The number of images.
    pub(super) fn len(&self) -> usize {
        self.images.len()
    }

    /// The rows of the images in the shards.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.images.iter().map(|image| image.row)
    }

    /// The number of images whose original files were found.
    pub(super) fn originals(&self) -> usize {
        self.images.iter().filter(|image| image.original.is_some()).count()
    }

    /// Returns the picture of image `index` after a degradation. An original file is degraded before it is re-encoded
    /// and resized. A re-encoded file from the shards is only degraded and resized. Stored pixels have been resized
    /// already, so their picture has no native image.
    ///
    /// # Errors
    /// The image cannot be degraded in this way, or its file has changed since the sweep began.
    pub(super) fn degraded(
        &self,
        index: usize,
        degrade: impl FnOnce(&RgbImage) -> Result<Degraded, DegradeError>,
    ) -> Result<Picture<'static>, String> {
        let image = &self.images[index];
        let Some(original) = &image.original else {
            return self.degraded_without_original(image.row, degrade);
        };
        let bytes = self.read(image.row, original).ok_or("its file changed during the sweep")?;
        let decoded = self.recipe.decode(&bytes).map_err(|error| error.to_string())?;
        let degraded = degrade(&decoded.rgb).map_err(|error| error.to_string())?;
        self.recipe.picture_of_degraded(degraded).map_err(|error| error.to_string())
    }

    /// Reads an original file. `None` if it can no longer be read or has changed.
    fn read<'b>(&'b self, row: usize, original: &'b Original) -> Option<Cow<'b, [u8]>> {
        match original {
            Original::InShards => self.shards.file(row).map(Cow::Borrowed),
            Original::InSource { bytes: Some(bytes), .. } => Some(Cow::Borrowed(bytes)),
            Original::InSource { index, bytes: None } => {
                read_verified(self.source.as_deref()?, *index, self.shards.sample(row).id).map(Cow::Owned)
            }
        }
    }

    /// Degrades the re-encoded file of a row, or its stored pixels if the shards have no files.
    fn degraded_without_original(
        &self,
        row: usize,
        degrade: impl FnOnce(&RgbImage) -> Result<Degraded, DegradeError>,
    ) -> Result<Picture<'static>, String> {
        let Some(file) = self.shards.file(row) else {
            let degraded = degrade(&self.stored(row)).map_err(|error| error.to_string())?;
            let pixels = self.recipe.resize(&degraded.image).map_err(|error| error.to_string())?;
            return Ok(Picture { file: None, native: None, pixels: Cow::Owned(pixels) });
        };
        let decoded = self.recipe.decode(file).map_err(|error| error.to_string())?;
        let degraded = degrade(&decoded.rgb).map_err(|error| error.to_string())?;
        let recipe = Recipe { reencode: None, ..self.recipe };
        recipe.picture_of_degraded(degraded).map_err(|error| error.to_string())
    }

    /// The pixels that the shards hold for a row.
    fn stored(&self, row: usize) -> RgbImage {
        let [height, width] = self.shards.size();
        let pixels = self.shards.pixels(row);
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let at = (y as usize * width + x as usize) * 3;
            [pixels[at], pixels[at + 1], pixels[at + 2]]
        })
    }

    fn report_missing(&self, ingest: &Manifest, error: Option<String>) {
        let (missing, all) = (self.len() - self.originals(), self.len());
        let source = ingest.summary["source"].as_str().unwrap_or_default();
        let reason = match (error, missing) {
            (Some(error), _) => format!("failed to open the source `{source}` ({error})"),
            (None, 0) => return,
            (None, _) => format!("files that were not found in `{source}`, or have changed since ingest"),
        };
        let from = if self.shards.has_files() { "re-encoded files" } else { "stored pixels" };
        progress::line(&format!(
            "evaluate: warning: robustness: {missing} of {all} images are degraded from their {from} instead of their \
             original files: {reason}"
        ));
    }
}

/// Returns the rows of at most `limit` images (rounded up to an even number), half of each class. They are those with
/// the lowest hashes of their files.
fn choose_rows(shards: &Shards, limit: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = Label::ALL
        .into_iter()
        .flat_map(|class| {
            let mut of_class: Vec<usize> = (0..shards.len()).filter(|&row| shards.sample(row).label == class).collect();
            of_class.sort_by_key(|&row| *shards.sample(row).id.as_bytes());
            of_class.truncate(limit.div_ceil(2));
            of_class
        })
        .collect();
    rows.sort_unstable();
    rows
}

/// Opens the source that an ingest read. An error is returned as text.
fn reopen(ingest: &Manifest) -> Result<Box<dyn Source>, String> {
    let config = SourceConfig::deserialize(&ingest.config).map_err(|error| error.to_string())?;
    let root = |files: &Value| files.as_str().map(PathBuf::from);
    let roots = match ingest.summary["files_of_parts"].as_array() {
        Some(parts) => parts.iter().map(root).collect(),
        None => vec![root(&ingest.summary["files"])],
    };
    sources::reopen(&config, &roots).map_err(|error| error.to_string())
}

/// Finds the original files of some rows by their paths, and verifies their hashes.
fn find_originals(shards: &Shards, rows: &[usize], source: Option<&dyn Source>, recipe: &Recipe) -> Vec<Image> {
    let mut wanted: BTreeMap<&str, Vec<usize>> =
        rows.iter().map(|&row| (shards.sample(row).path.as_str(), Vec::new())).collect();
    let entries = source.into_iter().flat_map(|source| (0..source.len()).map(|index| (index, source.entry(index))));
    for (index, entry) in entries {
        if let Some(indices) = wanted.get_mut(entry.path.as_str()) {
            indices.push(index);
        }
    }
    let cached = AtomicUsize::new(0);
    let find = |row: usize| {
        let sample = shards.sample(row);
        // Ingest removes control characters from paths, so that two files may have the same path.
        let (index, bytes) = wanted.get(sample.path.as_str())?.iter().find_map(|&index| {
            let bytes = read_verified(source?, index, sample.id)?;
            recipe.decode(&bytes).is_ok().then_some((index, bytes))
        })?;
        let fits = cached.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len() <= MAX_CACHED_BYTES;
        Some(Original::InSource { index, bytes: fits.then_some(bytes) })
    };
    rows.par_iter().map(|&row| Image { row, original: find(row) }).collect()
}

/// Reads a file of a source. Returns `None` if it cannot be read or its hash is not `id`.
fn read_verified(source: &dyn Source, index: usize, id: Hash) -> Option<Vec<u8>> {
    source.read(index).ok().filter(|bytes| Hash::of(bytes) == id)
}
