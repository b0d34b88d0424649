//! The converted images of all parts, in place of the files of the source.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::shard::{Sample, Shards};
use artifacts::stage::Failure;
use artifacts::{Error, Label, Manifest, RunDir, atomic, command, names};
use sources::{Rejection, Source};

use super::write::SPLIT;
use super::{FILES, PartNumber, PartSummary, RejectedPseudoFake, StoredFile, StoredImage, StoredRejection, stale};
use crate::Config;
use crate::audit::Observation;
use crate::candidates::count_files;
use crate::image::{Converted, Files, Image, RejectedFile};
use crate::select::{Duplicate, Used};

/// The converted images of all parts of a source.
pub(crate) struct ConvertedParts<'a> {
    source: &'a dyn Source,
    /// The files in the order of the source, each with the position of its part in `shards`.
    files: Vec<(usize, StoredFile)>,
    config: &'a Config,
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
        config: &'a Config,
        inputs: &BTreeMap<String, Hash>,
    ) -> Result<ConvertedParts<'a>, Failure> {
        let parts = find(run, config, inputs)?;
        let mut converted = ConvertedParts {
            source,
            config,
            files: Vec::with_capacity(source.len()),
            shards: Vec::new(),
            images_per_second: 0.0,
        };
        let seconds: f64 = parts.values().map(|part| part.manifest.seconds).sum();
        let images: u64 = parts.values().map(|part| part.summary.images).sum();
        converted.images_per_second = images as f64 / seconds.max(1e-9);
        for part in parts.values() {
            converted.add(part)?;
        }
        Ok(converted)
    }

    /// Adds a part. Parts must be added in their order.
    fn add(&mut self, Part { folder, manifest, summary }: &Part) -> Result<(), Failure> {
        for name in manifest.outputs.keys() {
            manifest.verify(folder, name)?;
        }
        let shards = manifest.outputs.keys().any(|name| name.ends_with(".parquet"));
        let shards = shards.then(|| Shards::open(folder, SPLIT)).transpose()?;
        let path = folder.join(FILES);
        let files: Vec<StoredFile> = atomic::read_lines(&path, "list of the files of a part")?;
        let images = shards.as_ref().map_or(0, Shards::len);
        let fits = |(expected, file): (u32, &StoredFile)| {
            let photograph = file.image.as_ref().and_then(|image| image.as_ref().ok());
            let pseudo_fake = file.pseudo_fake.as_ref().and_then(|image| image.as_ref().ok());
            let mut stored = photograph.into_iter().chain(pseudo_fake);
            expected == file.index && stored.all(|image| image.row < images)
        };
        let range = summary.number.range(count_files(self.source)?);
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

    /// The pseudo-fake of a photograph, or why there is none.
    fn pseudo_fake(&self, used: &Used, observe: bool) -> Option<Result<Image, RejectedFile>> {
        let (part, file) = &self.files[used.index as usize];
        Some(match file.pseudo_fake.as_ref()? {
            Ok(image) => {
                let used = Used { label: Label::Fake, ..used.clone() };
                Ok(stored_image(self.shards[*part].as_ref()?, image, &used, observe))
            }
            Err(RejectedPseudoFake { path, rejected: StoredRejection { id, rejection } }) => {
                Err(RejectedFile { index: used.index, path: path.clone(), id: *id, rejection: rejection.clone() })
            }
        })
    }
}

/// Returns a stored image with the label and the split of `used`.
fn stored_image(shards: &Shards, image: &StoredImage, used: &Used, observe: bool) -> Image {
    Image {
        index: used.index,
        sample: Sample { label: used.label, split: used.split, ..shards.sample(image.row).clone() },
        pixels: shards.pixels(image.row).to_vec(),
        file: shards.file(image.row).map(<[u8]>::to_vec),
        warning: image.warning,
        observation: observe.then(|| image.observation.clone().with_label(used.label, used.split)),
    }
}

impl Files for ConvertedParts<'_> {
    fn key(&self, index: usize) -> Result<Hash, Rejection> {
        self.files[index].1.key.clone()
    }

    fn convert(&self, used: &Used, observe: bool) -> Converted {
        let image = match self.image(used.index, used.key) {
            Ok((shards, image)) => Ok(stored_image(shards, image, used, observe)),
            Err(StoredRejection { id, rejection }) => {
                let path = self.source.entry(used.index as usize).path;
                Err(RejectedFile { index: used.index, path, id, rejection })
            }
        };
        let is_wanted = self.config.align.as_ref().is_some_and(|align| align.applies_to(used));
        let pseudo_fake = self.pseudo_fake(used, observe).filter(|_| is_wanted);
        Converted { image, pseudo_fake }
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
pub(crate) fn check_parts(run: &RunDir, config: &Config, inputs: &BTreeMap<String, Hash>) -> Result<(), Failure> {
    match stale(&run.ingest(), config, inputs)? {
        None => Ok(()),
        Some(_) => find(run, config, inputs).map(drop),
    }
}

/// A complete part.
struct Part {
    folder: PathBuf,
    manifest: Manifest,
    summary: PartSummary,
}

impl Part {
    /// Reads the manifest of a part.
    fn read(folder: PathBuf, config: &Config, inputs: &BTreeMap<String, Hash>) -> Result<Part, Failure> {
        if let Some(stale) = stale(&folder, config, inputs)? {
            return Err(refused(&folder, &stale.to_string()));
        }
        let manifest = Manifest::require(&folder, names::INGEST_PARTS)?;
        match serde_json::from_value(manifest.summary.clone()) {
            Ok(summary) => Ok(Part { folder, manifest, summary }),
            Err(_) => Err(refused(&folder, "its manifest has no number of a part")),
        }
    }
}

/// The failure to merge the part in `folder`.
fn refused(folder: &Path, reason: &str) -> Failure {
    Failure::input(format!(
        "the part `{}` cannot be merged: {reason}; delete the folder, or run the part again with `{}`",
        folder.display(),
        command::line("ingest --part I/N")
    ))
}

/// Finds the parts of a run, which must be all parts of one division of the source.
fn find(run: &RunDir, config: &Config, inputs: &BTreeMap<String, Hash>) -> Result<BTreeMap<PartNumber, Part>, Failure> {
    let root = run.ingest_parts();
    let mut parts: BTreeMap<PartNumber, Part> = BTreeMap::new();
    for folder in folders(&root)? {
        let part = Part::read(folder.clone(), config, inputs)?;
        let number = part.summary.number;
        let other = |first: &&Part| first.summary.number.parts != number.parts;
        if let Some(first) = parts.values().next().filter(other) {
            let (path, first) = (first.folder.display(), first.summary.number);
            return Err(refused(
                &folder,
                &format!("it is part {number}, but `{path}` is part {first}, of another division"),
            ));
        }
        if let Some(first) = parts.insert(number, part) {
            return Err(refused(&folder, &format!("it is part {number}, as is `{}`", first.folder.display())));
        }
    }
    check_complete(&root, &parts)?;
    Ok(parts)
}

/// Checks that there are parts and that none is missing.
fn check_complete(root: &Path, parts: &BTreeMap<PartNumber, Part>) -> Result<(), Failure> {
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
    match missing.first() {
        None => Ok(()),
        Some(one) => Err(Failure::input(format!(
            "{} of {} parts are missing in `{}`: {}; run `{}`",
            missing.len(),
            first.parts,
            root.display(),
            missing.join(", "),
            command::line(&format!("ingest --part {one}"))
        ))),
    }
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
