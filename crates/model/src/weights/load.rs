//! Reads safetensors files into a network's flat buffers.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::error::Error;
use super::prefix;
use crate::tensor_table::{Entry, TensorTable};

/// The prefix of the head's tensors, which are ignored if their shapes do not fit.
const HEAD_PREFIX: &str = "fc.";
/// The suffix of torchvision's batch counters. They are ignored, because they have no effect on the network.
const BATCH_COUNTER: &str = ".num_batches_tracked";
/// The size of the first field of a safetensors file: the length of the header, little-endian.
const LENGTH_BYTES: usize = 8;
/// The longest header that the crate safetensors accepts.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The most tensors that an error lists.
const MAX_LISTED: usize = 8;

/// A report on loading a file into a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of tensors taken from the file.
    pub loaded: usize,
    /// Whether the network kept its own head, because the file has none, or one with another number of classes.
    pub head_replaced: bool,
    /// Names of the tensors that the file lacks and `allow_missing` permits. The network kept its own.
    pub missing: Vec<String>,
    /// The prefix of the file's names that was left out, such as `module.`. Empty if the names are the network's.
    pub prefix: String,
}

impl LoadReport {
    /// Describes which tensors were taken from `source`, for a message.
    #[must_use]
    pub fn describe(&self, source: &str) -> String {
        let LoadReport { loaded, head_replaced, missing, prefix } = self;
        let mut text = format!("{loaded} tensors from {source}");
        if !prefix.is_empty() {
            text.push_str(&format!(", the prefix `{prefix}` of their names left out"));
        }
        if !missing.is_empty() {
            text.push_str(&format!(", {} missing tensors initialised randomly", missing.len()));
        }
        if *head_replaced {
            text.push_str(", a new head");
        }
        text
    }
}

/// The tensors of a file, ready to be copied into a network's parameters and running statistics.
pub(crate) struct LoadedTensors([Vec<(Entry, Vec<f32>)>; 2]);

impl LoadedTensors {
    /// Copies the tensors to the parameters and the running statistics.
    pub(crate) fn copy_to(&self, flat: [&mut [f32]; 2]) {
        for (values, tensors) in flat.into_iter().zip(&self.0) {
            for (entry, source) in tensors {
                values[entry.range()].copy_from_slice(source);
            }
        }
    }
}

/// Reads the tensors of a network from `path`; see [`crate::Network::load`]. `tables` are the layouts of the parameters
/// and of the running statistics.
///
/// # Errors
/// The file cannot be read, its tensors do not fit, or one has a value that is NaN or infinite. The error lists the first
/// tensors that do not fit.
pub(crate) fn load(
    path: &Path,
    [parameters, statistics]: [&TensorTable; 2],
    allow_missing: &[String],
) -> Result<(LoadedTensors, LoadReport), Error> {
    let bytes = read(path)?;
    let file = parse(path, &bytes)?;
    let tensors = file.tensors().into_iter().filter(|(name, _)| !name.ends_with(BATCH_COUNTER)).collect();
    let (prefix, mut tensors) = without_prefix(tensors, [parameters, statistics]);
    let head_replaced = drop_unfit_head(&mut tensors, parameters);
    let mut report = LoadReport { head_replaced, prefix, ..LoadReport::default() };
    let mut problems = Vec::new();
    let mut take = |table: &TensorTable| -> Result<Vec<(Entry, Vec<f32>)>, Error> {
        let mut taken = Vec::new();
        for (name, shape, entry) in table.entries() {
            match tensors.remove(name) {
                Some(view) if view.shape() == shape.as_slice() => {
                    taken.push((*entry, to_finite_f32(path, name, &view)?));
                }
                Some(view) => {
                    problems.push(format!("{name} has shape {:?} instead of {shape:?}", view.shape()));
                }
                None if report.head_replaced && name.starts_with(HEAD_PREFIX) => {}
                None if allow_missing.iter().any(|prefix| name.starts_with(prefix.as_str())) => {
                    report.missing.push(name.clone());
                }
                None => problems.push(format!("{name} {shape:?} is missing")),
            }
        }
        report.loaded += taken.len();
        Ok(taken)
    };
    let loaded = LoadedTensors([take(parameters)?, take(statistics)?]);
    problems.extend(tensors.iter().map(|(name, view)| format!("{name} {:?} is unexpected", view.shape())));
    if !problems.is_empty() {
        let more = problems.len().saturating_sub(MAX_LISTED);
        problems.truncate(MAX_LISTED);
        problems.extend((more > 0).then(|| format!("and {more} more")));
        return Err(Error::Mismatch { path: path.to_owned(), prefix: report.prefix, problems: problems.join("; ") });
    }
    Ok((loaded, report))
}

/// Checks that a file is a complete safetensors file: that its header is valid, and that its length matches the header.
/// Does not read the tensors.
///
/// # Errors
/// The file cannot be read, is no safetensors file, or is truncated.
pub fn check(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let invalid = |source| Error::SafeTensors { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let mut length = [0; LENGTH_BYTES];
    if bytes < length.len() as u64 {
        return Err(invalid(SafeTensorError::HeaderTooSmall));
    }
    file.read_exact(&mut length).map_err(failed)?;
    let rest = bytes - length.len() as u64;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_BYTES {
        return Err(invalid(SafeTensorError::HeaderTooLarge));
    }
    if length > rest {
        return Err(invalid(SafeTensorError::InvalidHeaderLength));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(failed)?;
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|error| invalid(SafeTensorError::InvalidHeaderDeserialization(error)))?;
    // Deserialising the header has checked that the tensors are contiguous.
    if header.data_len() as u64 != rest - length {
        return Err(invalid(SafeTensorError::MetadataIncompleteBuffer));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, Error> {
    SafeTensors::deserialize(bytes).map_err(|source| Error::SafeTensors { path: path.to_owned(), source })
}

/// Leaves out the common prefix of the tensors' names where the rest is a name of the network. Returns the prefix too.
fn without_prefix<'a>(
    tensors: Vec<(String, TensorView<'a>)>,
    tables: [&TensorTable; 2],
) -> (String, BTreeMap<String, TensorView<'a>>) {
    let expected = tables.into_iter().flat_map(|table| table.entries()).map(|(name, ..)| name.as_str());
    let expected: HashSet<&str> = expected.collect();
    let prefix = prefix::common(tensors.iter().map(|(name, _)| name.as_str()), &expected);
    let own_name = |name: &str| {
        let rest = name.strip_prefix(&prefix)?;
        (expected.contains(rest) || rest.starts_with(HEAD_PREFIX)).then(|| rest.to_owned())
    };
    let (with, without): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(name, _)| own_name(name).is_some());
    let mut named: BTreeMap<_, _> =
        with.into_iter().map(|(name, view)| (own_name(&name).unwrap_or(name), view)).collect();
    for (name, view) in without {
        // A second tensor of one name is not the network's. Its whole name cannot be the name of another tensor.
        let name = if named.contains_key(&name) { format!("{name} beside {prefix}{name}") } else { name };
        named.insert(name, view);
    }
    (prefix, named)
}

/// Removes the head from `tensors` unless its weight and bias fit the network. Returns whether it was removed.
fn drop_unfit_head(tensors: &mut BTreeMap<String, TensorView<'_>>, table: &TensorTable) -> bool {
    let fits = table
        .entries()
        .iter()
        .filter(|(name, ..)| name.starts_with(HEAD_PREFIX))
        .all(|(name, shape, _)| tensors.get(name).is_some_and(|view| view.shape() == shape.as_slice()));
    if !fits {
        tensors.retain(|name, _| !name.starts_with(HEAD_PREFIX));
    }
    !fits
}

/// Converts the elements of a tensor to `f32`, which must all be finite.
fn to_finite_f32(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, Error> {
    let values = to_f32(path, name, view)?;
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(values),
        Some(&value) => Err(Error::NotFinite { path: path.to_owned(), name: name.to_owned(), value }),
    }
}

/// Converts the elements of a tensor to `f32`.
fn to_f32(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, Error> {
    let data: Cow<'_, [u8]> = Cow::Borrowed(view.data());
    let halves = |convert: fn([u8; 2]) -> f32| data.as_chunks::<2>().0.iter().map(|&bytes| convert(bytes)).collect();
    match view.dtype() {
        Dtype::F32 => Ok(data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()),
        Dtype::F16 => Ok(halves(|bytes| half::f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Ok(halves(|bytes| half::bf16::from_le_bytes(bytes).to_f32())),
        other => Err(Error::Type { path: path.to_owned(), name: name.to_owned(), dtype: format!("{other:?}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_tensors_were_loaded() {
        let mut report = LoadReport { loaded: 267, ..LoadReport::default() };
        assert_eq!(report.describe("w.safetensors"), "267 tensors from w.safetensors");
        report.prefix = "module.".to_owned();
        report.missing = vec!["layer4.0.conv1.weight".to_owned()];
        report.head_replaced = true;
        assert_eq!(
            report.describe("w.safetensors"),
            "267 tensors from w.safetensors, the prefix `module.` of their names left out, 1 missing tensors initialised \
             randomly, a new head"
        );
    }

    /// Writes a file whose header declares one tensor of `bytes` bytes, followed by `length` bytes.
    fn write_file(path: &Path, bytes: u64, length: u64) {
        let header = format!(r#"{{"t":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
        let start = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        fs::write(path, &start).unwrap();
        File::options().write(true).open(path).unwrap().set_len(start.len() as u64 + length).unwrap();
    }

    #[test]
    fn check_rejects_damaged_files_without_reading_tensors() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.safetensors");
        // The sparse file is larger than memory, so reading it would fail.
        write_file(&path, 1 << 38, 1 << 38);
        check(&path).unwrap();
        for wrong in [0, 99, 101] {
            write_file(&path, 100, wrong);
            let error = check(&path).unwrap_err();
            assert!(matches!(error, Error::SafeTensors { .. }), "{error}");
        }
        let starts: [&[u8]; 4] = [b"", b"1234567", b"\xff\xff\xff\xff\0\0\0\0{}", b"\x05\0\0\0\0\0\0\0{}"];
        for start in starts {
            fs::write(&path, start).unwrap();
            assert!(check(&path).is_err(), "{start:?}");
            assert!(parse(&path, start).is_err(), "{start:?}");
        }
        assert!(matches!(check(directory.path().join("absent").as_path()), Err(Error::Read { .. })));
    }
}
