//! A small synthetic run with an untrained network, and functions that run the programs on it.

#![expect(clippy::unwrap_used, reason = "a run that cannot be set up fails the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use artifacts::atomic::DirWriter;
use artifacts::hash::Hash;
use artifacts::schema::{IngestSummary, ModelConfig};
use artifacts::shard::{Sample, ShardWriter};
use artifacts::{Checkpoint, Label, Manifest, RunDir, Split, atomic, names};
use model::{Network, NetworkConfig, Normalisation};
use pixels::{Filter, Fit, Format, Recipe, RgbImage, encode, resize};
use serde_json::{Value, json};

use crate::program;

/// Side of the stored images: the smallest that the network takes.
pub const SIDE: u32 = 32;
/// Images of each split.
pub const IMAGES: u32 = 12;

/// A run with two training runs, and the folder of its source images.
pub struct Run {
    /// The folder of everything that the test writes.
    pub dir: tempfile::TempDir,
}

impl Default for Run {
    fn default() -> Self {
        Run::new()
    }
}

impl Run {
    /// Makes the shards, the source files and the checkpoints.
    pub fn new() -> Run {
        let run = Run { dir: tempfile::tempdir().unwrap() };
        run.ingest();
        run.train(0);
        run.train(1);
        run
    }

    /// The run.
    pub fn run_dir(&self) -> RunDir {
        RunDir::new(self.dir.path().join("run"))
    }

    /// The folder of the source files: SPLIT/LABEL/NUMBER.jpg.
    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    fn ingest(&self) {
        let writer = DirWriter::create(&self.run_dir().ingest()).unwrap();
        for (index, split) in Split::ALL.into_iter().enumerate() {
            let mut shards = ShardWriter::new(writer.path(), split, [SIDE as usize; 2], 100);
            for image in 0..IMAGES {
                let (sample, pixels) = self.image(split, index as u32 * IMAGES + image);
                shards.push(sample, &pixels).unwrap();
            }
            shards.finish().unwrap();
        }
        let summary = IngestSummary {
            source: "a folder".to_owned(),
            files: Some(self.source().to_string_lossy().into_owned()),
            files_of_parts: Vec::new(),
            simulated: false,
            size: [SIDE as usize; 2],
            seen: 36,
            rejected: 0,
            rejected_by_reason: Default::default(),
            splits: Default::default(),
            images_per_second: 1.0,
            content: None,
        };
        let config = json!({ "source": "source", "filter": Filter::default().name(), "fit": Fit::default().name() });
        complete(writer, names::INGEST, serde_json::to_value(summary).unwrap(), config);
    }

    /// Writes a source file. Returns the sample and the pixels that ingest makes from it.
    fn image(&self, split: Split, number: u32) -> (Sample, Vec<u8>) {
        let label = Label::ALL[(number % 2) as usize];
        let picture = RgbImage::from_fn(48, 40, |x, y| {
            let value = x * (number + 3) + y * 5 + number * 11 + if label == Label::Fake { (x % 2) * 90 } else { 0 };
            [value as u8, (value / 2) as u8, 255 - value as u8]
        });
        let bytes = encode::jpeg(&picture, 90, encode::Subsampling::Quarter).unwrap();
        let path = format!("{split}/{label}/{number:02}.jpg");
        let file = self.source().join(&path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &bytes).unwrap();
        let decoded = pixels::decode(&bytes, &pixels::Limits::default()).unwrap();
        let stored = resize(&decoded.rgb, SIDE, Filter::default(), Fit::default()).unwrap();
        let sample = Sample {
            id: Hash::of(&bytes),
            path,
            label,
            split,
            generator: if label == Label::Fake { format!("generator-{}", number % 3) } else { String::new() },
            width: 48,
            height: 40,
            format: Format::Jpeg.name().to_owned(),
            file_bytes: bytes.len() as u64,
            columns: BTreeMap::new(),
        };
        (sample, stored.into_data())
    }

    fn train(&self, run: usize) {
        let writer = DirWriter::create(&self.run_dir().train_run(run)).unwrap();
        for checkpoint in [Checkpoint::best(writer.path()), Checkpoint::last(writer.path())] {
            std::fs::create_dir_all(checkpoint.path()).unwrap();
            // The smallest ResNet.
            let config = NetworkConfig { arch: "resnet18".to_owned(), ..NetworkConfig::default() };
            let mut network = Network::new(&config, &model::device::Device::Cpu).unwrap();
            network.initialise(run as u64).unwrap();
            write_checkpoint(&checkpoint, &network, SIDE);
        }
        complete(writer, names::TRAIN, json!({}), Value::Null);
    }

    /// Runs `candling-evaluate` with these options.
    pub fn evaluate(&self, options: &[&str]) -> Output {
        self.evaluate_in(self.run_dir().path(), options)
    }

    /// Runs `candling-evaluate` with these options in the folder of another run.
    pub fn evaluate_in(&self, dir: &Path, options: &[&str]) -> Output {
        let mut arguments = vec!["--run-dir".to_owned(), dir.to_string_lossy().into_owned()];
        arguments.extend(["--set", "evaluate.resamples=50", "--set", "evaluate.examples=1"].map(str::to_owned));
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        run_program("candling-evaluate", &arguments)
    }

    /// Runs `candling-predict` with these options, without `--json`.
    pub fn predict_rows(&self, options: &[&str]) -> Output {
        let run = self.run_dir().path().to_string_lossy().into_owned();
        let options = [&["--run-dir", &run], options].concat();
        run_program("candling-predict", &options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
    }

    /// Runs `candling-predict --json` with these options. Returns the rows and the output.
    pub fn predict(&self, options: &[&str]) -> (Vec<Value>, Output) {
        let run = self.run_dir().path().to_string_lossy().into_owned();
        let output = run_program(
            "candling-predict",
            &[&["--run-dir", &run, "--json"], options].concat().iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        );
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), output)
    }
}

/// Writes what inference needs of a checkpoint: the weights, the architecture, and that images are resized to `side`.
pub fn write_checkpoint(checkpoint: &Checkpoint, network: &Network, side: u32) {
    let NetworkConfig { arch, normalisation: Normalisation { mean, std }, .. } = network.config();
    let recipe = Recipe { size: side, ..Recipe::default() };
    network.save(&checkpoint.weights(), &Default::default()).unwrap();
    atomic::write_json(&checkpoint.model_config(), &ModelConfig::detector(arch)).unwrap();
    atomic::write_json(&checkpoint.preprocessor_config(), &recipe.preprocessor_config(*mean, *std)).unwrap();
}

/// Runs a program of this workspace to its end.
pub fn run_program(name: &str, arguments: &[String]) -> Output {
    program(name).args(arguments).output().unwrap()
}

fn complete(writer: DirWriter, stage: &str, summary: Value, config: Value) {
    let code = artifacts::Code { version: 1, program: "0".to_owned(), executable: Hash::of(b"test") };
    let manifest = Manifest::of(writer.path(), stage, code).unwrap();
    Manifest { summary, config, ..manifest }.write(writer.path()).unwrap();
    writer.publish().unwrap();
}

/// Fails the test, and shows the messages of the program, unless it succeeded.
#[track_caller]
pub fn succeed(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Reads a JSON file.
pub fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    atomic::read_json(path, "test artifact").unwrap()
}
