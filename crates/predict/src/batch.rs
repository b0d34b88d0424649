//! Batches: the results of a folder as CSV and as a contact sheet, which a killed program continues.
//!
//! The folder of a batch has
//! - `batch.json`: the model and the settings. Another model or another setting is refused.
//! - `results.jsonl`: one line for each picture, appended as the pictures are computed. A line that a kill cut off is
//!   removed. Pictures in it are not computed again, unless their size or time of modification changed.
//! - `thumbnails/`, `results.csv` and `index.html`, made from these lines. No step has all results in memory.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use artifacts::atomic;
use artifacts::hash::Hash;
use artifacts::schema::PreprocessorConfig;
use artifacts::stage::Failure;
use serde::{Deserialize, Serialize};

use crate::batch_line::Line;
use crate::check::{Check, CheckOptions};
use crate::contact_sheet;
use crate::files::{Content, Found};
use crate::judge::Judge;
use crate::print::Style;
use crate::record::Settings;

/// The longest side of a thumbnail in pixels.
const THUMBNAIL: u32 = 320;

/// The folder of a batch, and the pictures that are in it already.
#[derive(Debug)]
pub struct Batch {
    dir: PathBuf,
    /// The pictures that have a result, by the hash of path, size and time of modification.
    done: HashSet<[u8; 16]>,
    journal: File,
    _lock: File,
}

/// What the results of a batch depend on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Description {
    weights: Hash,
    info: Hash,
    preprocessing: PreprocessorConfig,
    settings: Settings,
}

impl Batch {
    /// Opens the folder of a batch, or makes it.
    ///
    /// # Errors
    /// The folder has results of another model or other settings, or other files; another program writes to it.
    pub fn open(dir: &Path, judge: &Judge, options: &CheckOptions) -> Result<Batch, Failure> {
        std::fs::create_dir_all(dir.join("thumbnails")).map_err(artifacts::Error::io("create", dir))?;
        let lock = atomic::try_lock(&dir.join(".lock"))?.ok_or_else(|| {
            Failure::failed(format!(
                "another program writes to `{}`; wait for it, or name another folder",
                dir.display()
            ))
        })?;
        let own = Description {
            weights: judge.detector.weights(),
            info: judge.info.hash(),
            preprocessing: judge.detector.preprocessing().clone(),
            settings: Settings::of(options),
        };
        let path = dir.join("batch.json");
        if path.exists() {
            let known: Description = atomic::read_json(&path, "description of a batch")?;
            if known != own {
                return Err(Failure::usage(format!(
                    "`{}` has results of another model or other settings; name another folder with --batch-dir",
                    dir.display()
                )));
            }
        } else {
            atomic::write_json(&path, &own)?;
        }
        let journal_path = dir.join("results.jsonl");
        let (done, length) = read_journal(&journal_path)?;
        let error = |error| artifacts::Error::io("write", &journal_path)(error);
        let mut journal =
            OpenOptions::new().create(true).write(true).truncate(false).open(&journal_path).map_err(error)?;
        // The end of a line that a kill cut off is removed.
        journal.set_len(length).and_then(|()| journal.seek(io::SeekFrom::End(0))).map_err(error)?;
        Ok(Batch { dir: dir.to_owned(), done, journal, _lock: lock })
    }

    /// The number of pictures that have a result.
    pub fn done(&self) -> usize {
        self.done.len()
    }

    /// Whether a picture has no result yet.
    pub fn is_new(&self, found: &Found) -> bool {
        !self.done.contains(&key(&found.path.to_string_lossy(), stamp(found)))
    }

    /// Adds the results of some pictures, and writes them to disk.
    ///
    /// # Errors
    /// Errors of writing.
    pub fn add(&mut self, found: &[Found], checks: &[Check]) -> Result<(), Failure> {
        let mut lines = String::new();
        for (found, check) in found.iter().zip(checks) {
            let (bytes, modified) = stamp(found);
            let thumbnail = match (&check.picture, check.row.file) {
                (Some(jpeg), Some(hash)) => {
                    let name = format!("{}.jpg", hash.short());
                    atomic::write_file(&self.dir.join("thumbnails").join(&name), jpeg)?;
                    Some(name)
                }
                _ => None,
            };
            let row = serde_json::to_value(&check.row).map_err(Failure::failed)?;
            let line = Line { bytes, modified, csv: Style::Csv.row(&check.row), thumbnail, row };
            lines.push_str(&serde_json::to_string(&line).map_err(Failure::failed)?);
            lines.push('\n');
            self.done.insert(key(&check.row.path, (bytes, modified)));
        }
        let path = self.dir.join("results.jsonl");
        let error = artifacts::Error::io("write", &path);
        self.journal.write_all(lines.as_bytes()).and_then(|()| self.journal.sync_data()).map_err(error)?;
        Ok(())
    }

    /// Writes `results.csv` and the contact sheet.
    ///
    /// # Errors
    /// Errors of reading and writing.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let csv = self.dir.join("results.csv");
        let header = Style::Csv.header().unwrap_or_default();
        let lines = self.lines()?;
        atomic::write_with(&csv, |out| {
            writeln!(out, "{header}")?;
            for line in lines {
                writeln!(out, "{}", line?.csv)?;
            }
            Ok(())
        })?;
        contact_sheet::write(&self.dir, || self.lines())
    }

    /// The options that a batch needs: those given, with thumbnails.
    pub fn options(options: &CheckOptions) -> CheckOptions {
        CheckOptions { picture: Some(THUMBNAIL), ..options.clone() }
    }

    /// Reads the lines one by one. Of several lines of one path, all are returned.
    fn lines(&self) -> Result<impl Iterator<Item = io::Result<Line>> + use<>, Failure> {
        let path = self.dir.join("results.jsonl");
        let file = File::open(&path).map_err(artifacts::Error::io("read", &path))?;
        Ok(BufReader::new(file).lines().map(|line| serde_json::from_str(&line?).map_err(io::Error::other)))
    }
}

/// Reads which pictures have a result, and the length of the file up to the last whole line.
fn read_journal(path: &Path) -> Result<(HashSet<[u8; 16]>, u64), Failure> {
    let mut done = HashSet::new();
    let mut length = 0;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((done, 0)),
        file => file.map_err(artifacts::Error::io("read", path))?,
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(artifacts::Error::io("read", path))?;
        let whole = line.ends_with(b"\n");
        let Ok(parsed) = serde_json::from_slice::<Line>(&line) else { break };
        if !whole {
            break;
        }
        length += read as u64;
        let path = parsed.row["path"].as_str().unwrap_or_default();
        done.insert(key(path, (parsed.bytes, parsed.modified)));
    }
    Ok((done, length))
}

fn key(path: &str, (bytes, modified): (u64, u64)) -> [u8; 16] {
    let hash = Hash::of(format!("{bytes} {modified} {path}").as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hash.as_bytes()[..16]);
    key
}

/// The size and the time of modification of a file; zeros if it has none.
fn stamp(found: &Found) -> (u64, u64) {
    let Content::File = found.content else { return (0, 0) };
    let Ok(metadata) = std::fs::metadata(&found.path) else { return (0, 0) };
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    (metadata.len(), modified.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
}
