//! TensorBoard event files.
//!
//! An event file is a sequence of TFRecords (`tensorflow/core/lib/io/record_writer.h`). Each record holds one `Event`
//! in protobuf's wire format (`tensorflow/core/util/event.proto`, `tensorflow/core/framework/summary.proto`). Scalars
//! need only a small part of both formats, which this module encodes itself.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use artifacts::Error;
use artifacts::schema::Epoch;

/// TensorBoard finds event files by this prefix.
const PREFIX: &str = "events.out.tfevents.";

/// An open event file, to which scalars are appended.
///
/// A resumed training truncates the file to the length that its checkpoint recorded, so that the file contains no step
/// twice.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
    len: u64,
}

impl EventFile {
    /// Truncates the event file in the folder `run` to `len` bytes and continues it. Starts a new file if `len` is 0 or
    /// the file is shorter or missing.
    pub(crate) fn open(run: &Path, len: u64) -> Result<EventFile, Error> {
        let existing = find(run)?;
        let long_enough = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() >= len);
        match existing.filter(|path| len > 0 && long_enough(path)) {
            Some(path) => EventFile::resume(path, len),
            None => EventFile::start(run),
        }
    }

    fn start(run: &Path) -> Result<EventFile, Error> {
        if let Some(old) = find(run)? {
            fs::remove_file(&old).map_err(Error::io("remove", &old))?;
        }
        let path = run.join(format!("{PREFIX}{}.candling", unix_time().floor()));
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let mut events = EventFile { path, file, len: 0 };
        events.append(0, Content::Version)?;
        Ok(events)
    }

    fn resume(path: PathBuf, len: u64) -> Result<EventFile, Error> {
        let open = || {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(len)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(Error::io("resume", &path))?;
        Ok(EventFile { path, file, len })
    }

    /// Appends a scalar. It is written unbuffered, so that a running TensorBoard can show it at once.
    pub(crate) fn add_scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<(), Error> {
        self.append(step, Content::Scalar { tag, value: value as f32 })
    }

    /// Appends the metrics of an epoch, at the epoch's last step.
    pub(crate) fn add_epoch(&mut self, row: &Epoch) -> Result<(), Error> {
        let scalars = [
            ("epoch/train_loss", Some(row.train_loss)),
            ("epoch/train_accuracy", Some(row.train_accuracy)),
            ("epoch/val_loss", Some(row.val_loss)),
            ("epoch/val_accuracy", Some(row.val_accuracy)),
            ("epoch/val_roc_auc", row.val_roc_auc),
            ("epoch/learning_rate", Some(row.learning_rate)),
            ("epoch/images_per_second", Some(row.images_per_second)),
        ];
        for (tag, value) in scalars {
            if let Some(value) = value {
                self.add_scalar(tag, row.step, value)?;
            }
        }
        Ok(())
    }

    /// Syncs the file to disk and returns its length, which a checkpoint records.
    pub(crate) fn sync(&mut self) -> Result<u64, Error> {
        self.file.sync_data().map_err(Error::io("sync", &self.path))?;
        Ok(self.len)
    }

    fn append(&mut self, step: u64, content: Content<'_>) -> Result<(), Error> {
        let mut record = Vec::new();
        write_record(&Event { wall_time: unix_time(), step, content }.encode(), &mut record);
        self.file.write_all(&record).map_err(Error::io("write", &self.path))?;
        self.len += record.len() as u64;
        Ok(())
    }
}

/// Finds the event file in the folder `run`.
fn find(run: &Path) -> Result<Option<PathBuf>, Error> {
    for entry in fs::read_dir(run).map_err(Error::io("list", run))? {
        let entry = entry.map_err(Error::io("list", run))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// Seconds since 1970.
fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Appends a TFRecord: length, checksum of the length, data, checksum of the data.
fn write_record(data: &[u8], out: &mut Vec<u8>) {
    let length = (data.len() as u64).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked_checksum(&length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(&masked_checksum(data).to_le_bytes());
}

/// Computes the CRC-32C, masked as in TensorFlow (`tensorflow/core/lib/hash/crc32c.h`), because a plain CRC of data
/// that contains CRCs detects fewer errors.
fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// `message Event`.
struct Event<'a> {
    /// `double wall_time = 1`, seconds since 1970.
    wall_time: f64,
    /// `int64 step = 2`.
    step: u64,
    /// `oneof what`.
    content: Content<'a>,
}

enum Content<'a> {
    /// `string file_version = 3`.
    Version,
    /// `Summary summary = 5`, with one `Value`: `string tag = 1`, `float simple_value = 2`.
    Scalar { tag: &'a str, value: f32 },
}

impl Event<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut event = Vec::new();
        write_key(1, Wire::Fixed64, &mut event);
        event.extend_from_slice(&self.wall_time.to_le_bytes());
        write_key(2, Wire::Varint, &mut event);
        write_varint(self.step, &mut event);
        match self.content {
            Content::Version => write_bytes(3, b"brain.Event:2", &mut event),
            Content::Scalar { tag, value } => {
                let (mut inner, mut summary) = (Vec::new(), Vec::new());
                write_bytes(1, tag.as_bytes(), &mut inner);
                write_key(2, Wire::Fixed32, &mut inner);
                inner.extend_from_slice(&value.to_le_bytes());
                write_bytes(1, &inner, &mut summary);
                write_bytes(5, &summary, &mut event);
            }
        }
        event
    }
}

/// Wire types of protobuf.
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

fn write_key(field: u64, wire: Wire, out: &mut Vec<u8>) {
    write_varint(field << 3 | wire as u64, out);
}

fn write_bytes(field: u64, content: &[u8], out: &mut Vec<u8>) {
    write_key(field, Wire::Bytes, out);
    write_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_events_as_tensorboard_does() {
        // tensorboard 2.21.0: Event(wall_time=1.5, step=300, summary=Summary(value=[Summary.Value(tag="a",
        // simple_value=0.25)])).SerializeToString(), framed by its RecordWriter.
        let event = Event { wall_time: 1.5, step: 300, content: Content::Scalar { tag: "a", value: 0.25 } };
        let mut record = Vec::new();
        write_record(&event.encode(), &mut record);
        let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "1800000000000000a37f4b2209000000000000f83f10ac022a0a0a080a0161150000803eb4fa9511");
    }

    #[test]
    fn truncates_resumed_file_to_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventFile::open(dir.path(), 0).unwrap();
        events.add_scalar("loss", 1, 0.5).unwrap();
        let len = events.sync().unwrap();
        let path = find(dir.path()).unwrap().unwrap();
        let before = fs::read(&path).unwrap();
        assert_eq!(before.len() as u64, len);
        events.add_scalar("loss", 2, 0.4).unwrap();
        events.sync().unwrap();

        let mut resumed = EventFile::open(dir.path(), len).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
        resumed.add_scalar("loss", 2, 0.4).unwrap();
        assert_eq!(resumed.sync().unwrap(), events.len);
        assert_eq!(fs::metadata(&path).unwrap().len(), events.len);
    }

    #[test]
    fn replaces_file_shorter_than_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        EventFile::open(dir.path(), 0).unwrap().sync().unwrap();
        EventFile::open(dir.path(), 1 << 20).unwrap().sync().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
