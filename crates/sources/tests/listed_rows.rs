//! CSV lists that name rows of parquet tables.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use artifacts::Label;
use parquet::arrow::ArrowWriter;
use sources::{Source, SourceConfig, SourceError, open};

/// Writes a table with an image in each row.
fn write_table(path: &Path, images: &[&[u8]]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let images: ArrayRef = Arc::new(BinaryArray::from_vec(images.to_vec()));
    let batch = RecordBatch::try_from_iter([("image", images)]).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn open_list(folder: &Path, rows: &str) -> Result<Box<dyn Source>, SourceError> {
    let list = folder.join("list.csv");
    fs::write(&list, format!("path,label\n{rows}")).unwrap();
    open(&SourceConfig { source: list.display().to_string().into(), ..SourceConfig::default() })
}

#[test]
fn reads_rows_of_tables_beside_files() {
    let dir = tempfile::tempdir().unwrap();
    write_table(&dir.path().join("a.parquet"), &[b"a0", b"a1", b"a2"]);
    write_table(&dir.path().join("more/b.parquet"), &[b"b0", b"b1"]);
    fs::write(dir.path().join("1.jpg"), "file").unwrap();
    // A folder can have the name of a table.
    fs::create_dir(dir.path().join("c.parquet")).unwrap();
    fs::write(dir.path().join("c.parquet/0"), "in a folder").unwrap();
    let absolute = dir.path().join("more/b.parquet/0").display().to_string();
    let rows = ["1.jpg", "a.parquet/2/name.png", "a.parquet/0", "c.parquet/0", "more/b.parquet/1", &absolute];
    let rows: String = rows.iter().map(|path| format!("{path},fake\n")).collect();
    let source = open_list(dir.path(), &rows).unwrap();
    let mut read: Vec<(String, Vec<u8>)> =
        (0..source.len()).map(|index| (source.entry(index).path, source.read(index).unwrap())).collect();
    read.sort();
    let expected: [(&str, &[u8]); 6] = [
        (&absolute, b"b0"),
        ("1.jpg", b"file"),
        ("a.parquet/0", b"a0"),
        ("a.parquet/2/name.png", b"a2"),
        ("c.parquet/0", b"in a folder"),
        ("more/b.parquet/1", b"b1"),
    ];
    assert_eq!(read, expected.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())));
    assert_eq!(source.entry(0).label, Ok(Label::Fake));
}

#[test]
fn names_the_row_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    write_table(&dir.path().join("a.parquet"), &[b"a0", b"a1"]);
    for (path, message) in [
        ("a.parquet/2", "line 3: `"),
        ("a.parquet/2", "a.parquet` has 2 rows, but none with the number `2`"),
        ("a.parquet/x.png", "none with the number `x.png`"),
        ("gone.parquet/0", "cannot read the table `"),
    ] {
        let error = open_list(dir.path(), &format!("a.parquet/0,real\n{path},real\n")).err().unwrap().to_string();
        assert!(error.contains(message), "{path}: {error}");
    }
}

#[test]
fn a_changed_table_changes_the_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    let fingerprint = || open_list(dir.path(), "a.parquet/0,real\n").unwrap().fingerprint().unwrap();
    write_table(&dir.path().join("a.parquet"), &[b"a0"]);
    let before = fingerprint();
    assert_eq!(fingerprint(), before);
    write_table(&dir.path().join("a.parquet"), &[b"a0", b"a1"]);
    assert_ne!(fingerprint(), before);
}
