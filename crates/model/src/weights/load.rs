//! A safetensors file into a network, with every tensor accounted for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::error::{Error, Result};
use crate::network::Network;
use crate::parameters::{Entry, Table};

/// The classifier's tensors, which are replaced where they do not fit.
const HEAD_PREFIX: &str = "fc.";
/// torchvision counts the batches that batch norm has seen; nothing reads it.
const BATCH_COUNTER: &str = ".num_batches_tracked";
/// What a safetensors file begins with: the length of its header, as a little-endian number.
const LENGTH_BYTES: usize = 8;
/// The longest header that safetensors reads.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// What a file gave to a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of tensors taken from the file.
    pub loaded: usize,
    /// Whether the head kept the weights it had, because the file's has other classes or is absent.
    pub head_replaced: bool,
    /// Tensors that the file lacks, as `allow_missing` permits; they kept the weights they had.
    pub missing: Vec<String>,
}

/// Reads the weights and running statistics of `path` (safetensors under torchvision's or timm's names; F32, F16 or BF16).
///
/// A head of another number of classes, or none, leaves the network's own. `allow_missing` holds prefixes of names,
/// such as `layer4.`, that the file may lack.
///
/// # Errors
/// A file that cannot be read, or whose other tensors are missing, mis-shaped or unexpected: all of them are listed.
/// The network is unchanged then.
pub fn load_into(network: &mut Network, path: &Path, allow_missing: &[String]) -> Result<LoadReport> {
    let bytes = read(path)?;
    let file = parse(path, &bytes)?;
    let mut tensors: BTreeMap<String, TensorView<'_>> =
        file.tensors().into_iter().filter(|(name, _)| !name.ends_with(BATCH_COUNTER)).collect();

    let (parameters, statistics) = network.buffers_mut()?;
    let mut report =
        LoadReport { head_replaced: drop_unfit_head(&mut tensors, parameters.table()), ..LoadReport::default() };
    let mut problems = Vec::new();
    let mut plan_copies = |table: &Table| -> Result<Vec<(Entry, Vec<f32>)>> {
        let mut copies = Vec::new();
        for (name, shape, entry) in table.entries() {
            match tensors.remove(name) {
                Some(view) if view.shape() == shape.as_slice() => {
                    copies.push((*entry, floats(path, name, &view)?));
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
        report.loaded += copies.len();
        Ok(copies)
    };
    let parameter_copies = plan_copies(parameters.table())?;
    let statistic_copies = plan_copies(statistics.table())?;
    problems.extend(tensors.iter().map(|(name, view)| format!("{name} {:?} is unexpected", view.shape())));
    if !problems.is_empty() {
        return Err(Error::WeightsMismatch { path: path.to_owned(), problems: problems.join("; ") });
    }
    for (flat, copies) in [(parameters, parameter_copies), (statistics, statistic_copies)] {
        flat.write(|values| {
            for (entry, source) in copies {
                values[entry.range()].copy_from_slice(&source);
            }
        })?;
    }
    Ok(report)
}

/// Checks that a file is a whole safetensors file, whatever network it fits: that it has a header, and the length that the
/// header says. The tensors are not read.
///
/// # Errors
/// It cannot be read, or is none.
pub fn check(path: &Path) -> Result<()> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
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
    if length > MOST_HEADER_BYTES {
        return Err(invalid(SafeTensorError::HeaderTooLarge));
    }
    if length > rest {
        return Err(invalid(SafeTensorError::InvalidHeaderLength));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(failed)?;
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|error| invalid(SafeTensorError::InvalidHeaderDeserialization(error)))?;
    // Reading the header has checked that the tensors follow one another without a gap.
    if header.data_len() as u64 != rest - length {
        return Err(invalid(SafeTensorError::MetadataIncompleteBuffer));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes).map_err(|source| Error::SafeTensors { path: path.to_owned(), source })
}

/// Takes the head out of the file's tensors unless both of its tensors fit; says whether it did.
fn drop_unfit_head(tensors: &mut BTreeMap<String, TensorView<'_>>, table: &Table) -> bool {
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

/// The elements of a tensor as `f32`.
fn floats(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let data: Cow<'_, [u8]> = Cow::Borrowed(view.data());
    let halves = |convert: fn([u8; 2]) -> f32| data.as_chunks::<2>().0.iter().map(|&bytes| convert(bytes)).collect();
    match view.dtype() {
        Dtype::F32 => Ok(data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()),
        Dtype::F16 => Ok(halves(|bytes| half::f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Ok(halves(|bytes| half::bf16::from_le_bytes(bytes).to_f32())),
        other => Err(Error::WeightsType { path: path.to_owned(), name: name.to_owned(), dtype: format!("{other:?}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that says it holds `bytes` bytes of one tensor, and is `length` bytes long after its header.
    fn file(path: &Path, bytes: u64, length: u64) {
        let header = format!(r#"{{"t":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
        let start = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        fs::write(path, &start).unwrap();
        File::options().write(true).open(path).unwrap().set_len(start.len() as u64 + length).unwrap();
    }

    #[test]
    fn a_file_is_checked_by_its_header_and_its_length_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.safetensors");
        // More than can be read into memory; the file has holes.
        file(&path, 1 << 38, 1 << 38);
        check(&path).unwrap();
        for wrong in [0, 99, 101] {
            file(&path, 100, wrong);
            let error = check(&path).unwrap_err();
            assert!(matches!(error, Error::SafeTensors { .. }), "{error}");
        }
        let starts: [&[u8]; 4] = [b"", b"1234567", b"\xff\xff\xff\xff\0\0\0\0{}", b"\x05\0\0\0\0\0\0\0{}"];
        for start in starts {
            fs::write(&path, start).unwrap();
            assert!(check(&path).is_err(), "{start:?}");
            assert!(parse(&path, start).is_err(), "{start:?}");
        }
        assert!(matches!(check(directory.path().join("absent").as_path()), Err(Error::Io { .. })));
    }
}
