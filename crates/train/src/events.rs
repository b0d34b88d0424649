//! The events file that TensorBoard shows.
//!
//! It is a sequence of TFRecords (`tensorflow/core/lib/io/record_writer.h`), each holding one `Event` in protobuf's wire
//! format (`tensorflow/core/util/event.proto`, `tensorflow/core/framework/summary.proto`). Scalars need so little of both
//! that they are written by hand.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use artifacts::Error;

/// How TensorBoard recognises an events file.
const PREFIX: &str = "events.out.tfevents.";

/// Appends scalars to an events file.
///
/// A resumed training cuts the file back to where its checkpoint left it, so that no step is in it twice.
#[derive(Debug)]
pub(crate) struct Events {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Events {
    /// Continues the events file in `run` at `len` bytes, or starts one where there is none of that length.
    pub(crate) fn open(run: &Path, len: u64) -> Result<Events, Error> {
        let existing = find(run)?;
        let long_enough = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() >= len);
        match existing.filter(|path| len > 0 && long_enough(path)) {
            Some(path) => Events::resume(path, len),
            None => Events::start(run),
        }
    }

    fn start(run: &Path) -> Result<Events, Error> {
        if let Some(former) = find(run)? {
            fs::remove_file(&former).map_err(Error::io("remove", &former))?;
        }
        let path = run.join(format!("{PREFIX}{}.candling", seconds_since_1970().floor()));
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let mut events = Events { path, file, len: 0 };
        events.append(0, Content::Version)?;
        Ok(events)
    }

    fn resume(path: PathBuf, len: u64) -> Result<Events, Error> {
        let open = || {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(len)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(Error::io("resume", &path))?;
        Ok(Events { path, file, len })
    }

    /// Adds a scalar, for TensorBoard to see at once.
    pub(crate) fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<(), Error> {
        self.append(step, Content::Scalar { tag, value: value as f32 })
    }

    /// Makes everything so far durable and returns the file's length, from which a checkpoint resumes it.
    pub(crate) fn sync(&mut self) -> Result<u64, Error> {
        self.file.sync_data().map_err(Error::io("sync", &self.path))?;
        Ok(self.len)
    }

    fn append(&mut self, step: u64, content: Content<'_>) -> Result<(), Error> {
        let mut framed = Vec::new();
        record(&Event { wall_time: seconds_since_1970(), step, content }.encode(), &mut framed);
        self.file.write_all(&framed).map_err(Error::io("write", &self.path))?;
        self.len += framed.len() as u64;
        Ok(())
    }
}

fn find(run: &Path) -> Result<Option<PathBuf>, Error> {
    for entry in fs::read_dir(run).map_err(Error::io("list", run))? {
        let entry = entry.map_err(Error::io("list", run))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Appends a TFRecord: length, checksum of the length, data, checksum of the data.
fn record(data: &[u8], out: &mut Vec<u8>) {
    let length = (data.len() as u64).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked_checksum(&length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(&masked_checksum(data).to_le_bytes());
}

/// CRC-32C, rotated and shifted as TensorFlow does (`tensorflow/core/lib/hash/crc32c.h`), so that a checksum of data that
/// hold checksums stays a good one.
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
        key(1, Wire::Fixed64, &mut event);
        event.extend_from_slice(&self.wall_time.to_le_bytes());
        key(2, Wire::Varint, &mut event);
        varint(self.step, &mut event);
        match self.content {
            Content::Version => bytes(3, b"brain.Event:2", &mut event),
            Content::Scalar { tag, value } => {
                let (mut inner, mut summary) = (Vec::new(), Vec::new());
                bytes(1, tag.as_bytes(), &mut inner);
                key(2, Wire::Fixed32, &mut inner);
                inner.extend_from_slice(&value.to_le_bytes());
                bytes(1, &inner, &mut summary);
                bytes(5, &summary, &mut event);
            }
        }
        event
    }
}

/// Protobuf's wire types.
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

fn key(field: u64, wire: Wire, out: &mut Vec<u8>) {
    varint(field << 3 | wire as u64, out);
}

fn bytes(field: u64, content: &[u8], out: &mut Vec<u8>) {
    key(field, Wire::Bytes, out);
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
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
    fn an_event_has_the_bytes_that_protobuf_gives() {
        // tensorboard 2.21.0: Event(wall_time=1.5, step=300, summary=Summary(value=[Summary.Value(tag="a",
        // simple_value=0.25)])).SerializeToString(), framed by its RecordWriter.
        let event = Event { wall_time: 1.5, step: 300, content: Content::Scalar { tag: "a", value: 0.25 } };
        let mut framed = Vec::new();
        record(&event.encode(), &mut framed);
        let hex: String = framed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "1800000000000000a37f4b2209000000000000f83f10ac022a0a0a080a0161150000803eb4fa9511");
    }

    #[test]
    fn a_resumed_file_is_cut_back_to_its_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::open(dir.path(), 0).unwrap();
        events.scalar("loss", 1, 0.5).unwrap();
        let len = events.sync().unwrap();
        let path = find(dir.path()).unwrap().unwrap();
        let before = fs::read(&path).unwrap();
        assert_eq!(before.len() as u64, len);
        events.scalar("loss", 2, 0.4).unwrap();
        events.sync().unwrap();

        let mut resumed = Events::open(dir.path(), len).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
        resumed.scalar("loss", 2, 0.4).unwrap();
        assert_eq!(resumed.sync().unwrap(), events.len);
        assert_eq!(fs::metadata(&path).unwrap().len(), events.len);
    }

    #[test]
    fn a_lost_file_is_started_again_alone() {
        let dir = tempfile::tempdir().unwrap();
        Events::open(dir.path(), 0).unwrap().sync().unwrap();
        Events::open(dir.path(), 1 << 20).unwrap().sync().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
