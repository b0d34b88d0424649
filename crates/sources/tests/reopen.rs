//! Opening the source of an earlier ingest from another folder.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use sources::{Source, SourceConfig, open, reopen};

/// The files of every source in this test.
const FILES: [(&str, &str, &[u8]); 2] = [("real/1.jpg", "real", b"one"), ("fake/2.jpg", "fake", b"two")];

fn write_folder(root: &Path) {
    for (path, _, bytes) in FILES {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn write_zip(path: &Path) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, _, bytes) in FILES {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn write_table(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let images: ArrayRef = Arc::new(FILES.iter().map(|(_, _, bytes)| Some(*bytes)).collect::<BinaryArray>());
    let labels: ArrayRef = Arc::new(FILES.iter().map(|(_, label, _)| Some(*label)).collect::<StringArray>());
    let batch = RecordBatch::try_from_iter([("image", images), ("label", labels)]).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Paths and bytes of all files.
fn content(source: &dyn Source) -> Vec<(String, Vec<u8>)> {
    (0..source.len()).map(|index| (source.entry(index).path, source.read(index).unwrap())).collect()
}

#[test]
fn reopens_every_kind_of_source_by_its_recorded_root() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_folder(&at("folder"));
    write_zip(&at("set.zip"));
    write_folder(&at("listed"));
    fs::write(at("listed/list.csv"), "path,label\nreal/1.jpg,real\nfake/2.jpg,fake\n").unwrap();
    write_table(&at("tables/test.parquet"));
    for name in ["folder", "set.zip", "listed/list.csv", "tables", "tables/test.parquet"] {
        let source =
            open(&SourceConfig { source: at(name).display().to_string().into(), ..SourceConfig::default() }).unwrap();
        let root = source.root().unwrap().canonicalize().unwrap();
        // The path of the configuration is relative to a folder that is no longer the current one.
        let relative = SourceConfig { source: name.into(), ..SourceConfig::default() };
        let again = reopen(&relative, &[Some(root)]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(content(&*again), content(&*source), "{name}");
        assert_eq!(content(&*again).len(), 2, "{name}");
    }
    // The root of a Kaggle data set is its folder or archive in the cache.
    let kaggle = SourceConfig { source: "kaggle:owner/set@3".into(), ..SourceConfig::default() };
    for root in ["folder", "set.zip"] {
        assert_eq!(content(&*reopen(&kaggle, &[Some(at(root))]).unwrap()).len(), 2, "{root}");
    }
}

#[test]
fn reopens_simulated_sets_without_a_root() {
    let config = SourceConfig { source: "simulated:train=4,test=0,size=16".into(), ..SourceConfig::default() };
    assert_eq!(content(&*reopen(&config, &[]).unwrap()), content(&*open(&config).unwrap()));
}

#[test]
fn fails_if_the_source_no_longer_exists() {
    let config = SourceConfig { source: "gone.zip".into(), ..SourceConfig::default() };
    let error = reopen(&config, &[Some("also/gone.zip".into())]).err().unwrap();
    assert!(error.to_string().contains("there is no `gone.zip`"), "{error}");
    assert!(error.to_string().contains("any more, which ingest read from `also/gone.zip`"), "{error}");
    // The folder of a list is there, but not the list.
    let dir = tempfile::tempdir().unwrap();
    write_folder(dir.path());
    let config = SourceConfig { source: "list.csv".into(), ..SourceConfig::default() };
    let error = reopen(&config, &[Some(dir.path().to_owned())]).err().unwrap();
    assert!(error.to_string().contains("there is no `list.csv` any more"), "{error}");
}

#[test]
fn only_keys_that_are_hashes_of_the_bytes_are_ids() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(dir.path());
    let folder =
        open(&SourceConfig { source: dir.path().display().to_string().into(), ..SourceConfig::default() }).unwrap();
    let key = folder.content_key(0).unwrap();
    assert_eq!(folder.id_of_key(0, key), Some(artifacts::hash::Hash::of(&folder.read(0).unwrap())));
    let simulated =
        open(&SourceConfig { source: "simulated:train=4,test=0,size=16".into(), ..SourceConfig::default() }).unwrap();
    assert_eq!(simulated.id_of_key(0, simulated.content_key(0).unwrap()), None);
}
