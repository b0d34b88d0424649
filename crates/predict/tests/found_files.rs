//! Which files of a folder have a row, what is said of the others, and URLs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pipeline_tests::untrained::{Run, run_program, succeed};
use pixels::RgbImage;
use pixels::encode::{self, Subsampling};

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn picture() -> Vec<u8> {
    let image = RgbImage::from_fn(40, 36, |x, y| [(x * 6) as u8, (y * 7) as u8, (x * y) as u8]);
    encode::jpeg(&image, 85, Subsampling::Quarter).unwrap()
}

/// Writes a folder with pictures, other files and hidden files.
fn mixed_folder(run: &Run) -> PathBuf {
    let folder = run.dir.path().join("mixed");
    fs::create_dir_all(folder.join(".hidden")).unwrap();
    let picture = picture();
    let files: [(&str, &[u8]); 10] = [
        ("a", &picture),
        ("b.download", &picture),
        ("c.jpg", &picture),
        ("d.psd", b"8BPS\0\x01"),
        ("e.svg", b"<svg/>"),
        ("f.png", b"not a picture"),
        ("notes.txt", b"hello"),
        (".g.jpg", &picture),
        (".DS_Store", b"\0\0\0\x01Bud1"),
        (".hidden/h.jpg", &picture),
    ];
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    folder
}

#[test]
fn every_file_of_a_folder_has_a_row_or_is_counted() {
    let run = Run::new();
    let folder = mixed_folder(&run);
    let (rows, output) = run.predict(&[&text(&folder)]);
    let judged: Vec<(&str, bool)> = rows
        .iter()
        .map(|row| (row["path"].as_str().unwrap().rsplit('/').next().unwrap(), row["verdict"].is_string()))
        .collect();
    assert_eq!(judged, [("a", true), ("b.download", true), ("c.jpg", true), ("f.png", false)]);
    let message = String::from_utf8(output.stderr).unwrap();
    let line = "predict: 3 files are not pictures that predict reads: d.psd (Photoshop PSD), e.svg (SVG), notes.txt \
                (plain text); and 2 hidden files and 1 hidden folder are left out\n";
    assert!(message.contains(line), "{message}");

    let out = text(&run.dir.path().join("batch"));
    let output = run.predict_rows(&[&text(&folder), "--batch-dir", &out]);
    succeed(&output);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains(line) && message.contains("computed 4 results"), "{message}");
}

#[test]
fn a_folder_without_pictures_says_what_it_has() {
    let run = Run::new();
    let folder = run.dir.path().join("empty");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("phone"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    let (rows, output) = run.predict(&[&text(&folder)]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(rows.is_empty() && output.status.code() == Some(3), "{message}");
    assert!(message.contains("1 file is not a picture that predict reads: phone (HEIC)"), "{message}");
    assert!(message.contains("found no images"), "{message}");
}

#[test]
fn help_says_that_hidden_files_are_left_out() {
    let help = String::from_utf8(run_program("candling-predict", &["--help".to_owned()]).stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("names begin with a dot are hidden: they are left out and counted"), "{help}");
}

#[test]
fn urls_are_errors_that_say_what_to_do() {
    let run = Run::new();
    let fine = run.dir.path().join("fine.jpg");
    fs::write(&fine, picture()).unwrap();
    let urls = [
        ("https://example.org/a.jpg", "download the picture first"),
        ("data:image/png;base64,iVBORw0KGgo=", "save the picture to a file first"),
        ("file:///tmp/absent.jpg", "without `file:`"),
    ];
    let paths: Vec<String> = urls.iter().map(|(url, _)| (*url).to_owned()).chain([text(&fine)]).collect();
    let list = run.dir.path().join("list");
    fs::write(&list, paths.join("\n")).unwrap();
    let arguments: Vec<&str> = paths.iter().map(String::as_str).collect();
    let (rows, output) = run.predict(&arguments);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(rows.len(), 4, "{rows:?}");
    for ((url, advice), row) in urls.iter().zip(&rows) {
        let error = row["error"].as_str().unwrap();
        assert!(error.contains("predict reads no URLs") && error.contains(advice), "{url}: {error}");
        assert_eq!(row["path"], *url);
    }
    assert!(rows[3]["verdict"].is_string(), "{rows:?}");

    let arguments = ["record.json", "https://example.org/a.jpg"].map(str::to_owned);
    let message = String::from_utf8(run_program("candling-verify", &arguments).stderr).unwrap();
    assert!(message.contains("verify reads no URLs; download the picture first"), "{message}");
    let arguments = ["--model", "https://huggingface.co/owner/repo", "a.jpg"].map(str::to_owned);
    let output = run_program("candling-predict", &arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && message.contains("hf:owner/repo"), "{message}");
}

/// Everything below a folder, with the lengths and the times of modification of files and folders. A file that is
/// written and removed again changes the time of its folder.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        for path in entries.chain([folder.clone()]) {
            let metadata = fs::metadata(&path).unwrap();
            if metadata.is_dir() && path != folder {
                folders.push(path.clone());
            }
            all.insert(path, (metadata.len(), metadata.modified().unwrap()));
        }
    }
    all
}

#[test]
fn predict_writes_nothing_into_the_run() {
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    let folders = [run.run_dir().path().to_owned(), run.source()];
    let before = folders.each_ref().map(|folder| listing(folder));
    assert!(before.iter().all(|listing| listing.len() > 10));
    // Root writes to read-only folders too, so that the listings count.
    let set_writable = |is_writable: bool| {
        for path in before.iter().flat_map(|listing| listing.keys()) {
            let mut permissions = fs::metadata(path).unwrap().permissions();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = permissions.mode();
                permissions.set_mode(if is_writable { mode | 0o200 } else { mode & !0o222 });
            }
            #[cfg(not(unix))]
            permissions.set_readonly(!is_writable);
            fs::set_permissions(path, permissions).unwrap();
        }
    };
    set_writable(false);
    let images = text(&run.source().join("test"));
    let record = text(&run.dir.path().join("record.jsonl"));
    let overlays = text(&run.dir.path().join("overlays"));
    let (rows, output) = run.predict(&[&images, "--record", &record, "--explain", &overlays]);
    let batch = run.predict_rows(&[&images, "--batch-dir", &text(&run.dir.path().join("batch"))]);
    set_writable(true);
    succeed(&output);
    succeed(&batch);
    assert!(rows.len() == 12 && rows.iter().all(|row| row["p_fake_calibrated"].is_number()), "{rows:?}");
    assert!(folders.each_ref().map(|folder| listing(folder)) == before, "predict wrote to the run or to its pictures");
}
