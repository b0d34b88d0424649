//! The readers that are fuzzed.

use std::fs;
use std::path::Path;

use artifacts::config::Override;
use artifacts::shard::Shards;
use artifacts::stage::Failure;
use artifacts::{Checkpoint, Manifest, Split, names, predictions};
use clap::ValueEnum;
use fetch::{Checksum, ContentRange, Url};
use judge::benchmark::Protocol;
use judge::input::ColumnNames;
use pixels::metadata::{Compression, Declared, Metadata};
use pixels::{Format, Limits, decode};
use provenance::Provenance;
use sources::{Location, SourceConfig};

use crate::configuration;

/// The most pixels of an image, so that a damaged header does not make decoding slow.
const MAX_PIXELS: u64 = 1 << 18;
/// The most files of a source that are read.
const MAX_FILES: usize = 16;

/// A reader of files or texts from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Target {
    /// Decoding of images
    Image,
    /// EXIF, XMP, texts and other metadata of images, and the settings of JPEGs
    Metadata,
    /// Content Credentials and the parameters of generators
    Provenance,
    /// CSV lists of images
    Csv,
    /// Parquet tables of images
    Table,
    /// Zip archives of images
    Zip,
    /// Weights in safetensors files
    Safetensors,
    /// Shards of images
    Shard,
    /// Manifests of artifacts
    Manifest,
    /// Predictions of other programs in CSV, JSON and parquet
    Predictions,
    /// The predictions of an evaluation (`predictions.parquet`)
    Scores,
    /// The state of an interrupted training
    TrainingState,
    /// Pipeline files, and descriptions of benchmarks
    Configuration,
    /// Settings of the command line (`--set`)
    Setting,
    /// URLs, and names of sources
    Url,
    /// Headers of responses: ranges, checksums and waits
    Header,
    /// No reader, but code that fails, to test that failures are noticed
    #[value(hide = true)]
    Faulty,
}

impl Target {
    /// All readers.
    pub(crate) const ALL: [Target; 16] = [
        Target::Image,
        Target::Metadata,
        Target::Provenance,
        Target::Csv,
        Target::Table,
        Target::Zip,
        Target::Safetensors,
        Target::Shard,
        Target::Manifest,
        Target::Predictions,
        Target::Scores,
        Target::TrainingState,
        Target::Configuration,
        Target::Setting,
        Target::Url,
        Target::Header,
    ];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::Image => "image",
            Target::Metadata => "metadata",
            Target::Provenance => "provenance",
            Target::Csv => "csv",
            Target::Table => "table",
            Target::Zip => "zip",
            Target::Safetensors => "safetensors",
            Target::Shard => "shard",
            Target::Manifest => "manifest",
            Target::Predictions => "predictions",
            Target::Scores => "scores",
            Target::TrainingState => "training-state",
            Target::Configuration => "configuration",
            Target::Setting => "setting",
            Target::Url => "url",
            Target::Header => "header",
            Target::Faulty => "faulty",
        }
    }

    /// Reads an input. Files are written to `folder`. That a reader rejects the input is no failure.
    ///
    /// # Errors
    /// The input cannot be written.
    pub(crate) fn feed(self, input: &[u8], folder: &Path) -> Result<(), Failure> {
        match self {
            Target::Image => {
                if let Ok(decoded) = decode(input, &Limits { max_pixels: MAX_PIXELS }) {
                    let [width, height] = [decoded.rgb.width(), decoded.rgb.height()];
                    assert_eq!(decoded.rgb.data().len() as u64, 3 * u64::from(width) * u64::from(height));
                }
            }
            Target::Metadata => {
                // A damaged signature would keep the input from all readers of metadata.
                let format = Format::of(input).unwrap_or(Format::Jpeg);
                let _ = (Metadata::read(input, format), Declared::read(input, format), Compression::read(input));
                let _ = signals::metadata::features(input);
            }
            Target::Provenance => {
                let format = Format::of(input).unwrap_or(Format::Jpeg);
                let _ = Provenance::read(input, format, None).sentences();
            }
            Target::Csv => read_source(&write(input, &folder.join("list.csv"))?),
            Target::Table => read_source(&write(input, &folder.join("test.parquet"))?),
            Target::Zip => read_source(&write(input, &folder.join("set.zip"))?),
            Target::Safetensors => {
                let path = write(input, &folder.join("model.safetensors"))?;
                let _ = model::weights::check(path.as_ref());
            }
            Target::Shard => {
                write(input, &folder.join("test-00000-of-00001.parquet"))?;
                read_shards(folder);
            }
            Target::Manifest => {
                write(input, &folder.join(names::MANIFEST))?;
                if let Ok(Some(manifest)) = Manifest::read(folder) {
                    let _ = manifest.find_damage(folder);
                }
            }
            Target::Predictions => {
                let extension = match input {
                    [b'{', ..] => "jsonl",
                    [b'P', b'A', b'R', b'1', ..] => "parquet",
                    _ => "csv",
                };
                let path = write(input, &folder.join(format!("predictions.{extension}")))?;
                // A file without a column of the report is refused before its rows are read.
                let _ = judge::input::read(path.as_ref(), &ColumnNames::new(), &["generator".to_owned()]);
                let _ = judge::input::read(path.as_ref(), &ColumnNames::new(), &[]);
            }
            Target::Scores => {
                let path = write(input, &folder.join(names::PREDICTIONS))?;
                let _ = predictions::read(path.as_ref());
            }
            Target::TrainingState => {
                let last = Checkpoint::last(folder);
                fs::create_dir_all(last.path()).map_err(artifacts::Error::io("create", last.path()))?;
                write(input, &last.training_state())?;
                let _ = train::check_training_state(folder);
            }
            Target::Configuration => {
                let path = write(input, &folder.join("run.toml"))?;
                configuration::load(Some(path.as_ref()), &[]);
                let _ = Protocol::read(path.as_ref());
            }
            Target::Setting => {
                if let Ok(setting) = Override::parse(&String::from_utf8_lossy(input)) {
                    configuration::load(None, &[setting]);
                }
            }
            Target::Url => {
                let text = String::from_utf8_lossy(input);
                if let Ok(url) = Url::parse(&text) {
                    let _ = (url.host().len(), url.join_segments(["a"]).with_parameter("b", "c").to_string());
                }
                let _ = Location::parse(&text);
            }
            Target::Header => read_headers(&String::from_utf8_lossy(input)),
            Target::Faulty => match input.len() {
                0..=4 => {}
                length if length.is_multiple_of(2) => drop(std::hint::black_box(vec![0_u8; 3 << 30])),
                length => panic!("an input of {length} bytes"),
            },
        }
        Ok(())
    }
}

/// Writes the input and returns the path as text.
fn write(input: &[u8], path: &Path) -> Result<String, Failure> {
    // Some file systems wait for the disk when a file is overwritten.
    artifacts::atomic::remove_file(path)?;
    fs::write(path, input).map_err(artifacts::Error::io("write", path))?;
    Ok(path.to_string_lossy().into_owned())
}

/// Opens a source and reads some of its files.
fn read_source(path: &str) {
    let config = SourceConfig { source: path.into(), max_pixels: MAX_PIXELS, ..SourceConfig::default() };
    let Ok(source) = sources::open(&config) else { return };
    for index in 0..source.len().min(MAX_FILES) {
        let _ = (source.entry(index), source.read(index));
    }
    let _ = (source.other_files().len(), source.notice(), source.fingerprint());
}

/// Opens the shard in a folder and reads all its images.
fn read_shards(folder: &Path) {
    let Ok(shards) = Shards::open(folder, Split::Test) else { return };
    let [height, width] = shards.size();
    for row in 0..shards.len() {
        assert_eq!(shards.pixels(row).len(), height * width * 3);
        assert_eq!(shards.file(row).is_some(), shards.has_files());
        // Reading the bytes finds a range that is outside of the file.
        std::hint::black_box(shards.pixels(row).iter().chain(shards.file(row).unwrap_or_default()).max());
        let _ = shards.sample(row);
    }
}

/// Reads a text as each of the headers whose parsers are our own.
fn read_headers(text: &str) {
    if let Some(range) = ContentRange::parse(text) {
        assert!(range.first <= range.last && range.total.is_none_or(|total| range.last < total));
    }
    let _ = ContentRange::parse_unsatisfied(text);
    let _ = (Checksum::from_goog_hash([text]), Checksum::sha256_from_hex(text), fetch::parse_retry_after(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for target in Target::value_variants() {
            assert_eq!(target.to_possible_value().unwrap().get_name(), target.name());
        }
        assert_eq!([&Target::ALL[..], &[Target::Faulty]].concat(), Target::value_variants());
    }
}
