//! Reads single tensors of a safetensors file, so that a file larger than the tower is never in memory as a whole.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::error::{Error, Result};

/// The size of the first field: the length of the header, little-endian.
const LENGTH_BYTES: u64 = 8;
/// The longest header that the crate safetensors accepts.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// An open safetensors file with a valid header.
pub(crate) struct WeightsFile {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// The offset of the first tensor.
    start: u64,
    /// The prefix of all names of the file that callers leave out, such as `module.`.
    prefix: String,
}

impl WeightsFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// The file cannot be read, or it is no complete safetensors file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let invalid = |problem: String| Error::SafeTensors { path: path.to_owned(), problem };
        let mut file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mut length = [0; LENGTH_BYTES as usize];
        if bytes < LENGTH_BYTES {
            return Err(invalid(format!("it has {bytes} bytes")));
        }
        file.read_exact(&mut length).map_err(failed)?;
        let (length, rest) = (u64::from_le_bytes(length), bytes - LENGTH_BYTES);
        if length > rest.min(MAX_HEADER_BYTES) {
            return Err(invalid("its header is longer than the file".to_owned()));
        }
        let mut header = Vec::new();
        (&mut file).take(length).read_to_end(&mut header).map_err(failed)?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|error| invalid(error.to_string()))?;
        // Deserialising the header has checked that the tensors are contiguous.
        if header.data_len() as u64 != rest - length {
            return Err(invalid(format!("its tensors have {} bytes, but {} follow", header.data_len(), rest - length)));
        }
        Ok(Self { path: path.to_owned(), file, header, start: LENGTH_BYTES + length, prefix: String::new() })
    }

    /// Lets the methods take names without `prefix`, which wrappers such as `DistributedDataParallel` add.
    pub(crate) fn leave_out_prefix(&mut self, prefix: String) {
        self.prefix = prefix;
    }

    /// Returns the name in the file.
    fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The whole names of all tensors, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.header.tensors().into_keys().collect();
        names.sort();
        names
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.info(&self.full_name(name)).map(|info| &info.shape[..])
    }

    /// Returns why a tensor cannot be read with `shape`, if so.
    pub(crate) fn problem(&self, name: &str, shape: &[usize]) -> Option<String> {
        let name = self.full_name(name);
        let Some(info) = self.header.info(&name) else {
            return Some(format!("{name} {shape:?} is missing"));
        };
        if info.shape != shape {
            return Some(format!("{name} has shape {:?} instead of {shape:?}", info.shape));
        }
        let supported = matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
        (!supported).then(|| format!("{name} has elements of type {:?} instead of F32, F16 or BF16", info.dtype))
    }

    /// Reads a tensor and converts it to `f32`. [`WeightsFile::problem`] must have found none.
    ///
    /// # Errors
    /// The file cannot be read, or a value is NaN or infinite.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let name = self.full_name(name);
        let info = self
            .header
            .info(&name)
            .ok_or_else(|| Error::SafeTensors { path: self.path.clone(), problem: format!("{name} is missing") })?;
        let (first, end) = info.data_offsets;
        self.file.seek(SeekFrom::Start(self.start + first as u64)).map_err(failed)?;
        let mut bytes = Vec::new();
        (&mut self.file).take((end - first) as u64).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() != end - first {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let halves =
            |convert: fn([u8; 2]) -> f32| bytes.as_chunks::<2>().0.iter().map(|&bytes| convert(bytes)).collect();
        let values: Vec<f32> = match info.dtype {
            Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::F16 => halves(|bytes| half::f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => halves(|bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            other => {
                return Err(Error::SafeTensors {
                    path: self.path.clone(),
                    problem: format!("{name} has elements of type {other:?} instead of F32, F16 or BF16"),
                });
            }
        };
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok(values),
            Some(&value) => Err(Error::NotFinite { path: self.path.clone(), name, value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_damaged_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let header = r#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let whole = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 8]].concat();
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(WeightsFile::open(&path).unwrap().read("t").unwrap(), [0.0, 0.0]);
        let longer = [&whole[..], &[0]].concat();
        for bytes in [&whole[..whole.len() - 1], &whole[..20], &whole[..5], b"", b"\xff\xff\xff\xff\0\0\0\0{}", &longer]
        {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(WeightsFile::open(&path), Err(Error::SafeTensors { .. })), "{bytes:?}");
        }
        assert!(matches!(WeightsFile::open(&folder.path().join("absent")), Err(Error::Read { .. })));
    }
}
