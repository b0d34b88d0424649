//! Conversion of one file of a source to the pixels that a shard stores, and of its pseudo-fake.

use artifacts::Label;
use artifacts::hash::Hash;
use artifacts::shard::Sample;
use pixels::{Decoded, Format, Recipe, Reencoded, Warning};
use sources::{Entry, Rejection, Source};

use crate::Config;
use crate::align::Aligner;
use crate::audit::Observation;
use crate::rejection;
use crate::select::{Duplicate, Used};

/// A used file, decoded and resized.
pub(crate) struct Image {
    pub(crate) sample: Sample,
    /// `[size, size, 3]`.
    pub(crate) pixels: Vec<u8>,
    /// The file that `pixels` come from, if it is kept.
    pub(crate) file: Option<Vec<u8>>,
    /// A fault of the original file.
    pub(crate) warning: Option<Warning>,
    /// Index in the source.
    pub(crate) index: u32,
    /// The input of the audit and of the search for near-duplicates, if requested.
    pub(crate) observation: Option<Observation>,
}

/// A file that is unusable, and the reason.
pub(crate) struct RejectedFile {
    /// Index in the source.
    pub(crate) index: u32,
    pub(crate) path: String,
    pub(crate) id: Option<Hash>,
    pub(crate) rejection: Rejection,
}

/// The result of converting a file.
pub(crate) struct Converted {
    pub(crate) image: Result<Image, RejectedFile>,
    /// The pseudo-fake of a photograph, if `ingest.align` asks for one and the photograph is usable.
    pub(crate) pseudo_fake: Option<Result<Image, RejectedFile>>,
}

/// The contents and the converted images of the files of a source.
pub(crate) trait Files: Sync {
    /// See [`Source::content_key`].
    fn key(&self, index: usize) -> Result<Hash, Rejection>;

    /// Decodes and resizes a file. With `observe`, also extracts the input of the audit.
    fn convert(&self, used: &Used, observe: bool) -> Converted;

    /// Decodes a file for the search for near-duplicates. `None` if the file is unusable.
    fn observe(&self, used: &Used) -> Option<Observation>;

    /// Returns the reason why a file is unusable regardless of its label. `None` if it is usable.
    fn check(&self, file: &Duplicate) -> Option<Rejection>;

    /// The title of the progress bar of a step.
    fn title(&self, step: &str) -> String {
        format!("ingest: {step}")
    }

    /// How many images per second were converted before this ingest. `None` if it converts them itself.
    fn earlier_images_per_second(&self) -> Option<f64> {
        None
    }
}

/// The files of a source as they are.
pub(crate) struct Originals<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) config: &'a Config,
    /// What makes pseudo-fakes, if any are wanted.
    pub(crate) aligner: Option<Aligner>,
}

impl Files for Originals<'_> {
    fn key(&self, index: usize) -> Result<Hash, Rejection> {
        self.source.content_key(index)
    }

    fn convert(&self, used: &Used, observe: bool) -> Converted {
        convert(self.source, used, self.config, self.aligner.as_ref(), observe)
    }

    fn observe(&self, used: &Used) -> Option<Observation> {
        prepare(self.source, used.index, used.key, self.config).ok().map(|prepared| prepared.observe(used))
    }

    fn check(&self, file: &Duplicate) -> Option<Rejection> {
        prepare(self.source, file.index, file.key, self.config).err()
    }
}

fn convert(source: &dyn Source, used: &Used, config: &Config, aligner: Option<&Aligner>, observe: bool) -> Converted {
    let entry = source.entry(used.index as usize);
    let (id, bytes) = match read(source, used.index, used.key) {
        Ok(read) => read,
        Err((id, rejection)) => {
            let rejected = RejectedFile { index: used.index, path: entry.path, id, rejection };
            return Converted { image: Err(rejected), pseudo_fake: None };
        }
    };
    // The pseudo-fake is made after its photograph, which is then no longer in memory as pixels.
    let original = aligner.filter(|aligner| aligner.applies_to(used)).map(|aligner| (aligner, bytes.clone()));
    let image = convert_bytes(bytes, id, &entry, used, config, observe);
    let pseudo_fake = original.filter(|_| image.is_ok()).and_then(|(aligner, bytes)| {
        let made = aligner.reconstruct(id, &bytes, Format::of(&bytes).ok()?);
        let entry = Entry { path: made.path(&entry.path), generator: made.generator, ..entry };
        let used = Used { label: Label::Fake, ..used.clone() };
        Some(match made.file {
            Ok(file) => {
                let id = Hash::of(&file);
                convert_bytes(file, id, &entry, &used, config, observe)
            }
            Err(rejection) => Err(RejectedFile { index: used.index, path: entry.path, id: None, rejection }),
        })
    });
    Converted { image, pseudo_fake }
}

/// Converts the bytes of a file, whose BLAKE3 hash is `id`.
fn convert_bytes(
    bytes: Vec<u8>,
    id: Hash,
    entry: &Entry,
    used: &Used,
    config: &Config,
    observe: bool,
) -> Result<Image, RejectedFile> {
    let rejected = |rejection| RejectedFile { index: used.index, path: entry.path.clone(), id: Some(id), rejection };
    let prepared = Prepared::new(bytes, config).map_err(rejected)?;
    let pixels =
        config.recipe().resize(&prepared.decoded.rgb).map_err(|error| rejected(rejection::undecodable(&error)))?;
    Ok(Image {
        index: used.index,
        observation: observe.then(|| prepared.observe(used)),
        sample: Sample {
            id,
            path: entry.path.clone(),
            label: used.label,
            split: used.split,
            generator: entry.generator.clone(),
            width: prepared.width,
            height: prepared.height,
            format: prepared.format,
            file_bytes: prepared.file_bytes,
            columns: entry.columns.clone(),
        },
        pixels,
        warning: prepared.warning,
        file: config.keep_files.then_some(prepared.file),
    })
}

/// Returns the length in bytes of the file that ingest keeps of file `index`. `None` if the file is unusable.
pub(crate) fn kept_bytes(source: &dyn Source, index: usize, config: &Config) -> Option<u64> {
    let bytes = source.read(index).ok()?;
    Prepared::new(bytes, config).ok().map(|prepared| prepared.file.len() as u64)
}

fn prepare(source: &dyn Source, index: u32, key: Hash, config: &Config) -> Result<Prepared, Rejection> {
    let (_, bytes) = read(source, index, key).map_err(|(_, rejection)| rejection)?;
    Prepared::new(bytes, config)
}

/// Reads file `index`, whose content key was `key` in the first pass. Returns its BLAKE3 hash and its bytes.
fn read(source: &dyn Source, index: u32, key: Hash) -> Result<(Hash, Vec<u8>), (Option<Hash>, Rejection)> {
    let bytes = source.read(index as usize).map_err(|rejection| (None, rejection))?;
    let id = Hash::of(&bytes);
    let expected = source.id_of_key(index as usize, key);
    if expected.is_none_or(|expected| expected == id) { Ok((id, bytes)) } else { Err((Some(id), rejection::changed())) }
}

/// A decoded file, re-encoded and stripped as configured.
struct Prepared {
    // Properties of the original file; empty and zero with `ingest.strip`.
    format: String,
    width: u32,
    height: u32,
    file_bytes: u64,
    /// A fault of the original file.
    warning: Option<Warning>,
    strip: bool,
    /// The bytes of the original file, or of the re-encoded one.
    file: Vec<u8>,
    /// The image in `file`.
    decoded: Decoded,
}

impl Prepared {
    fn new(file: Vec<u8>, config: &Config) -> Result<Prepared, Rejection> {
        let recipe: Recipe = config.recipe();
        let unusable = |error| rejection::undecodable(&error);
        let original = recipe.decode(&file).map_err(unusable)?;
        let warning = original.warning;
        let (format, width, height, file_bytes) = if config.strip {
            (String::new(), 0, 0, 0)
        } else {
            (original.format.name().to_owned(), original.width, original.height, file.len() as u64)
        };
        let (file, decoded) = match recipe.reencode(&original.rgb).map_err(unusable)? {
            None => (file, original),
            Some(Reencoded { file, decoded }) => (file, decoded),
        };
        Ok(Prepared { format, width, height, file_bytes, warning, strip: config.strip, file, decoded })
    }

    fn observe(&self, used: &Used) -> Observation {
        let observation = Observation::new(&self.file, &self.decoded, used.label, used.split);
        if self.strip { observation.without_metadata() } else { observation }
    }
}
