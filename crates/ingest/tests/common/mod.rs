//! Helpers that write small sources and run the program on them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use artifacts::schema::{Audit, IngestSummary, Rejected};
use artifacts::shard::{Sample, Shards};
use artifacts::stage::StagePlan;
use artifacts::{Manifest, RunDir, Split};
use pixels::encode::{Subsampling, jpeg};
use pixels::{RgbImage, decode};

/// Returns a JPEG of a colourful pattern, which is different for each number.
pub(crate) fn picture(number: u32) -> Vec<u8> {
    jpeg(&patches(number, 40 + number % 9, 30 + number % 7), 90, Subsampling::Quarter).unwrap()
}

/// Returns an image of colour patches, which are different for each number, so that no two images are near-duplicates.
/// The sides may have at most 64 pixels.
pub(crate) fn patches(number: u32, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let place = (number * 64 + y / 8 * 8 + x / 8).to_le_bytes();
        let digest = artifacts::hash::Hash::of(&place);
        [digest.as_bytes()[0], digest.as_bytes()[1], digest.as_bytes()[2]]
    })
}

/// A temporary folder for a source and runs.
pub(crate) struct Workplace(tempfile::TempDir);

impl Workplace {
    pub(crate) fn new() -> Workplace {
        Workplace(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file of the source `data`.
    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> &Workplace {
        let path = self.path("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Adds `count` real and `count` fake images to each split.
    pub(crate) fn add_splits(&self, splits: &[&str], count: u32) -> &Workplace {
        for (s, split) in splits.iter().enumerate() {
            for i in 0..count {
                let number = 1000 * s as u32 + 2 * i;
                self.add(&format!("{split}/real/{i}.jpg"), &picture(number));
                self.add(&format!("{split}/fake/{i}.jpg"), &picture(number + 1));
            }
        }
        self
    }

    /// Adds 80 pairs of near-duplicates to training, and 80 test images.
    pub(crate) fn add_near_duplicates(&self) -> &Workplace {
        let save = |number, quality| jpeg(&patches(number, 64, 64), quality, Subsampling::Full).unwrap();
        for (number, class) in (0..80).zip(["real", "fake"].into_iter().cycle()) {
            self.add(&format!("train/{class}/{number}-95.jpg"), &save(number, 95))
                .add(&format!("train/{class}/{number}-80.jpg"), &save(number, 80))
                .add(&format!("test/{class}/{number}.jpg"), &save(1000 + number, 90));
        }
        self
    }

    /// Ingests `source` to the run `run` at 16 pixels, with the settings `set`.
    pub(crate) fn ingest(&self, run: &str, source: &Path, set: &[&str]) -> Ingested {
        self.ingest_with_threads(run, source, set, 2)
    }

    pub(crate) fn ingest_with_threads(&self, run: &str, source: &Path, set: &[&str], threads: usize) -> Ingested {
        let mut command = self.command(run, source, set);
        Ingested {
            output: command.env("RAYON_NUM_THREADS", threads.to_string()).output().unwrap(),
            run: RunDir::new(self.path(run)),
        }
    }

    /// Ingests with further options of the program.
    pub(crate) fn ingest_with_options(&self, run: &str, source: &Path, options: &[&str]) -> Ingested {
        let output = self.command(run, source, &[]).args(options).output().unwrap();
        Ingested { output, run: RunDir::new(self.path(run)) }
    }

    /// Ingests several sources, given as a list in TOML whose paths are below the workplace.
    pub(crate) fn ingest_list(&self, run: &str, list: &str, set: &[&str]) -> Ingested {
        self.ingest_list_with(run, list, set, &[])
    }

    /// The same with environment variables.
    pub(crate) fn ingest_list_with(
        &self,
        run: &str,
        list: &str,
        set: &[&str],
        environment: &[(&str, String)],
    ) -> Ingested {
        let source = format!("source={list}");
        let mut command = self.command_without_data(run, &[&[source.as_str()], set].concat());
        let output = command.current_dir(self.0.path()).envs(environment.iter().cloned()).output().unwrap();
        Ingested { output, run: RunDir::new(self.path(run)) }
    }

    /// Plans the ingest of `source` to the run `run`.
    pub(crate) fn plan(&self, run: &str, source: &Path, set: &[&str]) -> StagePlan {
        let output = self.command(run, source, set).arg("--plan").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn command(&self, run: &str, source: &Path, set: &[&str]) -> Command {
        let mut command = self.command_without_data(run, set);
        command.arg("--data").arg(source);
        command
    }

    fn command_without_data(&self, run: &str, set: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_candling-ingest"));
        command.arg("--run-dir").arg(self.path(run));
        command.args(["--set", "ingest.size=16"]);
        // The cache of Kaggle data sets is in the source folder, and the network is unreachable.
        command.env("KAGGLEHUB_CACHE", self.path("data")).env("KAGGLE_API_ENDPOINT", "http://127.0.0.1:1");
        for set in set {
            command.args(["--set", &format!("ingest.{set}")]);
        }
        command
    }
}

/// The exit status of the program, and its output.
pub(crate) struct Ingested {
    output: Output,
    run: RunDir,
}

impl Ingested {
    /// Panics unless the program succeeded.
    pub(crate) fn done(self) -> Ingested {
        assert_eq!(self.output.status.code(), Some(0), "{}", self.message());
        self
    }

    /// Panics unless the program failed with `code` and left no artifact. Returns its messages.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.output.status.code(), Some(code), "{}", self.message());
        assert!(!self.run.ingest().exists());
        self.message()
    }

    /// The messages of the program.
    pub(crate) fn message(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    pub(crate) fn summary(&self) -> IngestSummary {
        let manifest = Manifest::require(&self.run.ingest(), "ingest").unwrap();
        serde_json::from_value(manifest.summary).unwrap()
    }

    pub(crate) fn audit(&self) -> Audit {
        serde_json::from_slice(&fs::read(self.run.ingest().join("audit.json")).unwrap()).unwrap()
    }

    /// The samples of a split; empty if it has no shards.
    pub(crate) fn samples(&self, split: Split) -> Vec<Sample> {
        if !self.summary().splits.contains_key(&split) {
            return Vec::new();
        }
        let shards = Shards::open(&self.run.ingest(), split).unwrap();
        (0..shards.len()).map(|i| shards.sample(i).clone()).collect()
    }

    pub(crate) fn paths(&self, split: Split) -> Vec<String> {
        self.samples(split).into_iter().map(|sample| sample.path).collect()
    }

    pub(crate) fn rejected(&self) -> Vec<Rejected> {
        let lines = fs::read_to_string(self.run.ingest().join("rejected.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Reasons by path.
    pub(crate) fn reasons(&self) -> BTreeMap<String, String> {
        self.rejected().into_iter().map(|row| (row.path, row.reason)).collect()
    }

    /// Every file of the artifact except the manifest, which has the run time.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.run.ingest()).unwrap().map(|entry| entry.unwrap());
        let files = entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
        files.filter(|(name, _)| name != "manifest.json").collect()
    }

    pub(crate) fn shards(&self, split: Split) -> Shards {
        Shards::open(&self.run.ingest(), split).unwrap()
    }
}

/// Returns the pixels that the program should store for a file at a size of 16 pixels.
pub(crate) fn expected_pixels(file: &[u8]) -> Vec<u8> {
    let decoded = decode(file, &pixels::Limits::default()).unwrap();
    pixels::resize(&decoded.rgb, 16, pixels::Filter::Bilinear, pixels::Fit::Squash).unwrap().into_data()
}
