//! The valid files from which the inputs are made.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use artifacts::random::stream;
use artifacts::stage::Failure;
use parquet::arrow::ArrowWriter;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::mutation::mutate;
use crate::target::Target;

/// The longest file that is used, so that many inputs fit in a second.
const MAX_BYTES: u64 = 32 << 10;

/// The valid files of one target, in a fixed order.
pub(crate) struct Corpus {
    target: Target,
    files: Vec<Vec<u8>>,
}

impl Corpus {
    /// Reads or makes the files. `golden` is the folder of the images.
    ///
    /// # Errors
    /// The folder has no images, or a file cannot be made.
    pub(crate) fn new(target: Target, golden: &Path) -> Result<Corpus, Failure> {
        let files = match target {
            Target::Image | Target::Metadata => images(golden)?,
            Target::Provenance => [images(golden)?, statements(golden)?].concat(),
            Target::Predictions => [
                "path,label,score,generator\na.jpg,real,0.25,\nb.jpg,fake,nan,sdxl\n",
                "file;logit_real;logit_fake;model\r\nx\\y.png;-1.5;2e3;a\r\n",
                "{\"path\": \"a.jpg\", \"p_fake\": 0.5, \"label\": 1}\n{\"id\": \"x\", \"verdict\": true}\n",
            ]
            .map(|text| text.as_bytes().to_vec())
            .to_vec(),
            Target::Csv => vec![
                b"path,label,split,generator\na.jpg,real,train,\n\"b, c.jpg\",fake,test,sdxl\n".to_vec(),
                b"\xef\xbb\xbflabel;path\r\n1;a\\b.jpg\r\n0;c.jpg\r\n".to_vec(),
            ],
            Target::Table => vec![table().map_err(Failure::failed)?],
            Target::Zip => vec![archive().map_err(Failure::failed)?],
            Target::Safetensors => vec![safetensors()],
            Target::Manifest => vec![MANIFEST.as_bytes().to_vec()],
            Target::Faulty => vec![b"good".to_vec()],
            Target::Setting => ["train.epochs=2", "ingest.labels.\"a=b\"=fake", "ingest.splits={ x = \"train\" }"]
                .map(|text| text.as_bytes().to_vec())
                .to_vec(),
            Target::Url => ["https://example.org:8080/a/b%20c?d=e&f#g", "http://[::1]/x", "http://user@host/"]
                .map(|text| text.as_bytes().to_vec())
                .to_vec(),
        };
        Ok(Corpus { target, files })
    }

    /// Returns the input with the number `case`.
    pub(crate) fn input(&self, seed: u64, case: u64) -> Vec<u8> {
        // The valid files come first.
        if let Some(file) = usize::try_from(case).ok().and_then(|case| self.files.get(case)) {
            return file.clone();
        }
        let mut random = stream(seed, self.target.name(), &[case]);
        let mut choose = || &self.files[rand::RngExt::random_range(&mut random, 0..self.files.len())];
        let (file, other) = (choose(), choose());
        mutate(file, other, &mut random)
    }
}

/// Reads all short files below the folder, sorted by path.
fn images(golden: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["pixels/decode", "pixels/refused", "jpeg/files"] {
        let folder = golden.join(folder);
        for entry in fs::read_dir(&folder).map_err(artifacts::Error::io("list", &folder))? {
            let entry = entry.map_err(artifacts::Error::io("list", &folder))?;
            let is_pixels = entry.path().extension().is_some_and(|extension| extension == "rgb");
            if !is_pixels && entry.metadata().is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES) {
                paths.push(entry.path());
            }
        }
    }
    paths.sort();
    let files: Result<Vec<_>, _> =
        paths.iter().map(|path| fs::read(path).map_err(artifacts::Error::io("read", path))).collect();
    match files? {
        files if files.is_empty() => Err(Failure::input(format!("there are no images in `{}`", golden.display()))),
        files => Ok(files),
    }
}

/// A picture with Content Credentials, and one with the parameters of two generators.
fn statements(golden: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let signed = golden.join("provenance/signed.jpg");
    let signed = fs::read(&signed).map_err(artifacts::Error::io("read", &signed))?;
    // A PNG without pixels. Its checksums are zeros, which readers of texts ignore.
    let chunk = |kind: &str, content: &[u8]| {
        [&(content.len() as u32).to_be_bytes(), kind.as_bytes(), content, &[0; 4]].concat()
    };
    let png = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk("IHDR", b"\0\0\0\x08\0\0\0\x08\x08\x02\0\0\0"),
        chunk("tEXt", b"parameters\0a cat\nNegative prompt: a dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8, Model: m"),
        chunk("tEXt", &[b"prompt\0", GRAPH].concat()),
        chunk("IDAT", b""),
        chunk("IEND", b""),
    ];
    Ok(vec![signed, png.concat()])
}

/// A graph of ComfyUI, with a circle.
const GRAPH: &[u8] = br#"{"3": {"class_type": "KSampler", "inputs": {"seed": ["5", 0], "steps": 20, "cfg": 7.5, "positive": ["4", 0]}}, "4": {"class_type": "StringConcatenate", "inputs": {"string_a": ["4", 0], "string_b": "a hat"}}, "5": {"class_type": "Seed", "inputs": {"seed": 5}}}"#;

/// A table with an image and a label in each of four rows.
fn table() -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let images: BinaryArray =
        (0..4).map(|row| (row != 2).then_some(&b"\xff\xd8\xff\xe0 not quite a JPEG"[..])).collect();
    let labels: StringArray = (0..4).map(|row| Some(["real", "fake"][row % 2])).collect();
    let columns: [(&str, ArrayRef); 2] = [("image", Arc::new(images)), ("label", Arc::new(labels))];
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(file)
}

/// An archive with a stored and a compressed image, and a text.
fn archive() -> zip::result::ZipResult<Vec<u8>> {
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
fn safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"conv1.weight":{"dtype":"F16","shape":[1,2,2],"data_offsets":[8,16]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0x3c; 16]].concat()
}

const MANIFEST: &str = r#"{
  "schema_version": 2, "stage": "ingest", "created": "2026-01-01T00:00:00Z",
  "code": { "version": 3, "program": "0.1.0", "executable": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" },
  "config": { "size": 224 }, "inputs": {}, "outputs": {}, "seconds": 1.5, "device": "cpu", "summary": null
}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_accept_the_valid_files() {
        let place = tempfile::tempdir().unwrap();
        let open = |name: &str, bytes: Vec<u8>| {
            let path = place.path().join(name);
            fs::write(&path, bytes).unwrap();
            let source = path.to_string_lossy().into_owned().into();
            sources::open(&sources::SourceConfig { source, ..Default::default() }).map(|source| source.len()).unwrap()
        };
        assert_eq!(open("t.parquet", table().unwrap()), 4);
        assert_eq!(open("z.zip", archive().unwrap()), 2);
        for (number, list) in Corpus::new(Target::Csv, Path::new("")).unwrap().files.into_iter().enumerate() {
            assert_eq!(open(&format!("{number}.csv"), list), 2);
        }
    }
}
