//! Tables, archives and weights.

use std::io::{Cursor, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A table with an image and a label in each of four rows.
pub(super) fn images() -> Result<Vec<u8>, ParquetError> {
    let images: BinaryArray =
        (0..4).map(|row| (row != 2).then_some(&b"\xff\xd8\xff\xe0 not quite a JPEG"[..])).collect();
    table([("image", Arc::new(images)), ("label", labels(4))])
}

/// A table with the predictions for two images.
pub(super) fn predictions() -> Result<Vec<u8>, ParquetError> {
    let paths: StringArray = ["a.jpg", "b.jpg"].map(Some).into_iter().collect();
    let scores: Float64Array = [Some(0.25), None].into_iter().collect();
    table([("path", Arc::new(paths)), ("label", labels(2)), ("score", Arc::new(scores))])
}

fn labels(rows: usize) -> ArrayRef {
    let labels: StringArray = (0..rows).map(|row| Some(["real", "fake"][row % 2])).collect();
    Arc::new(labels)
}

fn table<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<Vec<u8>, ParquetError> {
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(file)
}

/// An archive with a stored and a compressed image, and a text.
pub(super) fn archive() -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let image = b"\xff\xd8\xff\xe0 not quite a JPEG".as_slice();
    for (name, options, content) in [
        ("test/real/1.jpg", stored, image),
        ("test/fake/2.jpg", SimpleFileOptions::default(), image),
        ("test/fake/notes.txt", stored, b"a text"),
    ] {
        zip.start_file(name, options)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Two tensors.
pub(super) fn safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"conv1.weight":{"dtype":"F16","shape":[1,2,2],"data_offsets":[8,16]}}"#;
    with_data(header, 16)
}

/// A training state with one tensor.
pub(super) fn training_state(position: &str) -> Vec<u8> {
    let position = position.replace('\n', "").replace('"', "\\\"");
    let metadata = format!(r#"{{"candling.position":"{position}"}}"#);
    let tensor = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    with_data(&format!(r#"{{"__metadata__":{metadata},"exp_avg.fc.bias":{tensor}}}"#), 4)
}

/// A safetensors file with this header and number of bytes of tensors.
fn with_data(header: &str, bytes: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0x3c; bytes]].concat()
}
