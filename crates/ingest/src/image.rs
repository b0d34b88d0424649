//! One file of a source to the pixels that are stored.

use artifacts::hash::Hash;
use artifacts::schema::Reencode;
use artifacts::shard::Sample;
use pixels::encode::{self, Subsampling};
use pixels::{Decoded, Limits, RgbImage, decode, resize};

use crate::Config;
use crate::audit::Observation;
use crate::reject::Fault;
use crate::select::{Twin, Used};
use crate::source::Source;

/// A file that is used.
pub(crate) struct Image {
    pub(crate) sample: Sample,
    /// `[size, size, 3]`.
    pub(crate) pixels: Vec<u8>,
    /// Its place in the source.
    pub(crate) index: u32,
    /// What near-duplicates are found by, and the audit looks at; none where neither is wanted.
    pub(crate) observation: Option<Observation>,
}

/// A file that cannot be used.
pub(crate) struct Unusable {
    /// Its place in the source.
    pub(crate) index: u32,
    pub(crate) path: String,
    pub(crate) id: Option<Hash>,
    pub(crate) fault: Fault,
}

/// Decodes a file and makes it a square of `config.size`. `observe`: whether the audit, or a cut, is to see it.
pub(crate) fn convert(source: &dyn Source, used: &Used, config: &Config, observe: bool) -> Result<Image, Unusable> {
    let entry = source.entry(used.index as usize);
    let unusable = |id: Option<Hash>, fault: Fault| Unusable { index: used.index, path: entry.path.clone(), id, fault };
    let (id, bytes) = read(source, used.index, used.key).map_err(|(id, fault)| unusable(id, fault))?;
    let prepared = Prepared::new(bytes, config).map_err(|fault| unusable(Some(id), fault))?;
    let square = resize(&prepared.picture.rgb, config.size, config.filter, config.fit)
        .map_err(|error| unusable(Some(id), Fault::unreadable(&error)))?;
    Ok(Image {
        index: used.index,
        observation: observe.then(|| prepared.observe(used)),
        sample: Sample {
            id,
            path: entry.path,
            label: used.label,
            split: used.split,
            generator: entry.generator,
            width: prepared.width,
            height: prepared.height,
            format: prepared.format,
            file_bytes: prepared.file_bytes,
        },
        pixels: square.into_data(),
    })
}

/// Looks at a file without making pixels of it; nothing of one that cannot be used.
pub(crate) fn observe(source: &dyn Source, used: &Used, config: &Config) -> Option<Observation> {
    prepared(source, used.index, used.key, config).ok().map(|prepared| prepared.observe(used))
}

/// What is wrong with a file in itself, if anything.
pub(crate) fn fault(source: &dyn Source, file: &Twin, config: &Config) -> Option<Fault> {
    prepared(source, file.index, file.key, config).err()
}

fn prepared(source: &dyn Source, index: u32, key: Hash, config: &Config) -> Result<Prepared, Fault> {
    let (_, bytes) = read(source, index, key).map_err(|(_, fault)| fault)?;
    Prepared::new(bytes, config)
}

/// The bytes of the file `index`, which had the key `key` when it was looked at first, and their digest.
fn read(source: &dyn Source, index: u32, key: Hash) -> Result<(Hash, Vec<u8>), (Option<Hash>, Fault)> {
    let bytes = source.read(index as usize).map_err(|fault| (None, fault))?;
    let id = Hash::of(&bytes);
    if source.is_key(key, id) { Ok((id, bytes)) } else { Err((Some(id), Fault::changed())) }
}

/// A decoded file, saved again or stripped where the configuration says so.
struct Prepared {
    /// Of the file as the source has it; empty and zero where it is stripped.
    format: String,
    width: u32,
    height: u32,
    file_bytes: u64,
    strip: bool,
    /// The file that `picture` was decoded from.
    file: Vec<u8>,
    picture: Decoded,
}

impl Prepared {
    fn new(file: Vec<u8>, config: &Config) -> Result<Prepared, Fault> {
        let limits = config.limits();
        let picture = decode(&file, &limits)?;
        if picture.rgb.is_one_colour() {
            return Err(Fault::blank());
        }
        let (format, width, height, file_bytes) = if config.strip {
            (String::new(), 0, 0, 0)
        } else {
            (picture.format.name().to_owned(), picture.width, picture.height, file.len() as u64)
        };
        let (file, picture) = match &config.reencode {
            None => (file, picture),
            Some(reencode) => saved_again(&picture.rgb, reencode, &limits)?,
        };
        Ok(Prepared { format, width, height, file_bytes, strip: config.strip, file, picture })
    }

    fn observe(&self, used: &Used) -> Observation {
        let observation = Observation::new(&self.file, &self.picture, used.label, used.split);
        if self.strip { observation.without_metadata() } else { observation }
    }
}

fn saved_again(picture: &RgbImage, reencode: &Reencode, limits: &Limits) -> Result<(Vec<u8>, Decoded), Fault> {
    let file =
        encode::jpeg(picture, reencode.quality, Subsampling::Quarter).map_err(|error| Fault::unreadable(&error))?;
    let decoded = decode(&file, limits)?;
    Ok((file, decoded))
}
