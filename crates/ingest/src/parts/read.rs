//! The converted images of all parts, in place of the files of the source.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::shard::{Sample, Shards};
use artifacts::stage::{Failure, Stage};
use artifacts::{Error, Manifest, RunDir, atomic, command};
use sources::{Rejection, Source};

use super::write::SPLIT;
use super::{FILES, PartNumber, PartSummary, StoredFile, StoredImage, StoredRejection, stale};
use crate::audit::Observation;
use crate::image::{Files, Image, RejectedFile};
use crate::select::{Duplicate, Used};
use crate::{Config, Ingest};

/// The converted images of all parts of a source.
pub(crate) struct ConvertedParts<'a> {
    source: &'a dyn Source,
    /// The files in the order of the source, each with the position of its part in `shards`.
    files: Vec<(usize, StoredFile)>,
    /// The images of each part; `None` if it has none.
    shards: Vec<Option<Shards>>,
    images_per_second: f64,
}

impl<'a> ConvertedParts<'a> {
    /// Opens the parts of a run and checks their digests.
    ///
    /// # Errors
    /// A part is missing, incomplete or damaged, exists twice, or was made from another source, with another
    /// configuration or by another version. The error names it.
    pub(crate) fn open(
        run: &RunDir,
        source: &'a dyn Source,
        config: &Config,
        inputs: &BTreeMap<String, Hash>,
    ) -> Result<ConvertedParts<'a>, Failure> {
        let parts = find(run, config, inputs)?;
        let mut converted = ConvertedParts {
            source,
            files: Vec::with_capacity(source.len()),
            shards: Vec::new(),
            images_per_second: 0.0,
        };
        let mut seconds = 0.0;
        let mut images = 0;
        for (number, Part { folder, manifest, summary }) in parts {
            converted.add(&folder, &manifest, number)?;
            seconds += summary.images as f64 / summary.images_per_second.max(1e-9);
            images += summary.images;
        }
        converted.images_per_second = images as f64 / f64::max(seconds, 1e-9);
        Ok(converted)
    }

    /// Adds a part. Parts must be added in their order.
    fn add(&mut self, folder: &Path, manifest: &Manifest, number: PartNumber) -> Result<(), Failure> {
        for name in manifest.outputs.keys() {
            manifest.verify(folder, name)?;
        }
        let shards = manifest.outputs.keys().any(|name| name.ends_with(".parquet"));
        let shards = shards.then(|| Shards::open(folder, SPLIT)).transpose()?;
        let path = folder.join(FILES);
        let files: Vec<StoredFile> = atomic::read_lines(&path, "list of the files of a part")?;
        let images = shards.as_ref().map_or(0, Shards::len);
        let fits = |(expected, file): (usize, &StoredFile)| {
            let row = file.image.as_ref().and_then(|image| image.as_ref().ok()).map(|image| image.row);
            expected == file.index as usize && row.is_none_or(|row| row < images)
        };
        let range = number.range(self.source.len());
        if files.len() != range.len() || !range.zip(&files).all(fits) {
            return Err(Error::malformed(&path, "list of the files of a part", "it does not fit the source").into());
        }
        let at = self.shards.len();
        self.files.extend(files.into_iter().map(|file| (at, file)));
        self.shards.push(shards);
        Ok(())
    }

    /// The image of a file, or why it cannot be used.
    fn image(&self, index: u32, key: Hash) -> Result<(&Shards, &StoredImage), StoredRejection> {
        let (part, file) = &self.files[index as usize];
        match (&self.shards[*part], &file.image) {
            (Some(shards), Some(Ok(image))) => Ok((shards, image)),
            (_, Some(Err(rejected))) => Err(rejected.clone()),
            _ => {
                let detail = "its part has no image of it; delete the folder of the part and run the part again";
                Err(StoredRejection { id: Some(key), rejection: Rejection::new("unreadable", detail) })
            }
        }
    }
}

impl Files for ConvertedParts<'_> {
    fn key(&self, index: usize) -> Result<Hash, Rejection> {
        self.files[index].1.key.clone()
    }

    fn convert(&self, used: &Used, observe: bool) -> Result<Image, RejectedFile> {
        let entry = self.source.entry(used.index as usize);
        match self.image(used.index, used.key) {
            Err(StoredRejection { id, rejection }) => {
                Err(RejectedFile { index: used.index, path: entry.path, id, rejection })
            }
            Ok((shards, image)) => Ok(Image {
                index: used.index,
                sample: Sample {
                    label: used.label,
                    split: used.split,
                    columns: entry.columns,
                    ..shards.sample(image.row).clone()
                },
                pixels: shards.pixels(image.row).to_vec(),
                file: shards.file(image.row).map(<[u8]>::to_vec),
                warning: image.warning,
                observation: observe.then(|| image.observation.clone().with_label(used.label, used.split)),
            }),
        }
    }

    fn observe(&self, used: &Used) -> Option<Observation> {
        let (_, image) = self.image(used.index, used.key).ok()?;
        Some(image.observation.clone().with_label(used.label, used.split))
    }

    fn check(&self, file: &Duplicate) -> Option<Rejection> {
        self.image(file.index, file.key).err().map(|rejected| rejected.rejection)
    }

    fn title(&self, _: &str) -> String {
        "ingest: merging".to_owned()
    }

    fn earlier_images_per_second(&self) -> Option<f64> {
        Some(self.images_per_second)
    }
}

/// Checks that a run has all parts of its source, without reading them, unless their merge is up to date.
///
/// # Errors
/// Those of [`ConvertedParts::open`] that the manifests tell.
pub(crate) fn check_parts(run: &RunDir, config: &Config) -> Result<(), Failure> {
    let inputs = Ingest::inputs(run, config)?;
    match stale(&run.ingest(), config, &inputs)? {
        None => Ok(()),
        Some(_) => find(run, config, &inputs).map(drop),
    }
}

/// A complete part.
struct Part {
    folder: PathBuf,
    manifest: Manifest,
    summary: PartSummary,
}

/// Finds the parts of a run, which must be all parts of one division of the source.
fn find(run: &RunDir, config: &Config, inputs: &BTreeMap<String, Hash>) -> Result<BTreeMap<PartNumber, Part>, Failure> {
    let root = run.ingest_parts();
    let mut parts: BTreeMap<PartNumber, Part> = BTreeMap::new();
    for folder in folders(&root)? {
        let again =
            || format!("delete the folder, or run the part again with `{}`", command::line("ingest --part I/N"));
        let refused = |reason: String| {
            Failure::input(format!("the part `{}` cannot be merged: {reason}; {}", folder.display(), again()))
        };
        if let Some(stale) = stale(&folder, config, inputs)? {
            return Err(refused(stale.to_string()));
        }
        let summary = |manifest: &Manifest| serde_json::from_value::<PartSummary>(manifest.summary.clone()).ok();
        let Some((manifest, summary)) =
            Manifest::read(&folder)?.and_then(|manifest| summary(&manifest).map(|summary| (manifest, summary)))
        else {
            return Err(refused("its manifest has no number of a part".to_owned()));
        };
        let number = summary.number;
        if let Some(first) = parts.values().next().filter(|first| first.summary.number.parts != number.parts) {
            return Err(refused(format!(
                "it is part {number}, but `{}` is part {}, of another division",
                first.folder.display(),
                first.summary.number
            )));
        }
        let part = Part { folder: folder.clone(), manifest, summary };
        if let Some(first) = parts.insert(number, part) {
            return Err(refused(format!("it is part {number}, as is `{}`", first.folder.display())));
        }
    }
    let Some(first) = parts.keys().next().copied() else {
        return Err(Failure::input(format!(
            "there are no parts in `{}`; run `{}` for each part first",
            root.display(),
            command::line("ingest --part I/N")
        )));
    };
    let all = (1..=first.parts).map(|part| PartNumber { part, ..first });
    let missing: Vec<String> =
        all.filter(|number| !parts.contains_key(number)).map(|number| number.to_string()).collect();
    if let Some(one) = missing.first() {
        return Err(Failure::input(format!(
            "{} of {} parts are missing in `{}`: {}; run `{}`",
            missing.len(),
            first.parts,
            root.display(),
            missing.join(", "),
            command::line(&format!("ingest --part {one}"))
        )));
    }
    Ok(parts)
}

/// Lists the folders of parts, sorted by name. Hidden folders are parts that are being written.
fn folders(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut folders = Vec::new();
    if root.is_dir() {
        for entry in fs::read_dir(root).map_err(Error::io("list", root))? {
            let path = entry.map_err(Error::io("list", root))?.path();
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_dir() && !is_hidden {
                folders.push(path);
            }
        }
    }
    folders.sort();
    Ok(folders)
}
