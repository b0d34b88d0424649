//! The stage and the tools as people run them, on a small made-up run with an untrained network.

#![expect(clippy::unwrap_used, reason = "a run that cannot be set up is a failed test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use artifacts::atomic::DirWriter;
use artifacts::hash::Hash;
use artifacts::predictions;
use artifacts::schema::{
    Comparison, Explanations, ImageSize, IngestSummary, Metrics, ModelConfig, PreprocessorConfig, Robustness,
};
use artifacts::shard::{Sample, ShardWriter};
use artifacts::{Checkpoint, Label, Manifest, RunDir, Split, atomic, names};
use model::{Network, NetworkConfig, Normalisation};
use pixels::{Filter, Fit, Format, RgbImage, encode, resize};
use serde_json::{Value, json};

/// Side of the stored images: the smallest that the network takes.
const SIDE: u32 = 32;
/// Images of each split.
const IMAGES: u32 = 12;

/// A run with two training runs, and the folder of its source images.
struct Run {
    dir: tempfile::TempDir,
}

impl Run {
    fn new() -> Run {
        let run = Run { dir: tempfile::tempdir().unwrap() };
        run.ingest();
        run.train(0);
        run.train(1);
        run
    }

    fn run_dir(&self) -> RunDir {
        RunDir::new(self.dir.path().join("run"))
    }

    fn source(&self) -> PathBuf {
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
            source: self.source().to_string_lossy().into_owned(),
            simulated: false,
            size: [SIDE as usize; 2],
            seen: 36,
            rejected: 0,
            rejected_by_reason: Default::default(),
            splits: Default::default(),
            images_per_second: 1.0,
        };
        complete(writer, names::INGEST, serde_json::to_value(summary).unwrap());
    }

    /// Writes a source file and makes of it what ingest does.
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
        };
        (sample, stored.into_data())
    }

    fn train(&self, run: usize) {
        let writer = DirWriter::create(&self.run_dir().train_run(run)).unwrap();
        for checkpoint in [Checkpoint::best(writer.path()), Checkpoint::last(writer.path())] {
            std::fs::create_dir_all(checkpoint.path()).unwrap();
            let mut network = Network::new(&NetworkConfig::default(), &model::device::Device::Cpu).unwrap();
            network.initialise(run as u64).unwrap();
            network.save(&checkpoint.weights(), &Default::default()).unwrap();
            let Normalisation { mean, std } = Normalisation::default();
            let preprocessor = PreprocessorConfig {
                do_resize: true,
                size: ImageSize { height: SIDE as usize, width: SIDE as usize },
                filter: None,
                fit: None,
                do_rescale: true,
                rescale_factor: 1.0 / 255.0,
                do_normalize: true,
                image_mean: mean,
                image_std: std,
            };
            atomic::write_json(&checkpoint.model_config(), &ModelConfig::detector("resnet50")).unwrap();
            atomic::write_json(&checkpoint.preprocessor_config(), &preprocessor).unwrap();
        }
        complete(writer, names::TRAIN, json!({}));
    }

    fn evaluate(&self, options: &[&str]) -> Output {
        let mut arguments = vec!["--run-dir".to_owned(), self.run_dir().path().to_string_lossy().into_owned()];
        arguments.extend(["--set", "evaluate.resamples=50", "--set", "evaluate.examples=1"].map(str::to_owned));
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        program(env!("CARGO_BIN_EXE_candling-evaluate"), &arguments)
    }

    fn predict(&self, options: &[&str]) -> (Vec<Value>, Output) {
        let run = self.run_dir().path().to_string_lossy().into_owned();
        let output = program(
            env!("CARGO_BIN_EXE_candling-predict"),
            &[&["--run-dir", &run, "--json"], options].concat().iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        );
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), output)
    }
}

fn program(path: &str, arguments: &[String]) -> Output {
    Command::new(path).args(arguments).output().unwrap()
}

fn complete(writer: DirWriter, stage: &str, summary: Value) {
    let code = artifacts::Code { version: "0".to_owned(), executable: Hash::of(b"test") };
    let manifest =
        Manifest::describe(writer.path(), stage, json!({}), Default::default(), code, 0.0, "cpu".to_owned(), summary);
    manifest.unwrap().write(writer.path()).unwrap();
    writer.publish().unwrap();
}

fn succeed(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    atomic::read_json(path, "test artifact").unwrap()
}

#[test]
fn a_run_is_judged_explained_compared_and_predicted() {
    let run = Run::new();
    succeed(&run.evaluate(&["--robustness", "--set", "evaluate.robustness_images=6"]));
    let folder = run.run_dir().evaluate();
    let metrics: Metrics = read(&folder.join(names::METRICS));
    check_metrics(&metrics, &folder);
    check_explanations(&folder);
    check_robustness(&read(&folder.join(Robustness::FILE)));

    let again = run.evaluate(&["--robustness", "--set", "evaluate.robustness_images=6"]);
    succeed(&again);
    assert!(String::from_utf8_lossy(&again.stderr).contains("up to date"));

    check_comparison(&run);
    check_predictions(&run, &folder);
}

fn check_metrics(metrics: &Metrics, folder: &Path) {
    let rows = predictions::read(&folder.join(names::PREDICTIONS)).unwrap();
    assert_eq!((metrics.headline.n, metrics.runs.len(), rows.len()), (12, 2, 24));
    let confusion = metrics.headline.confusion;
    let right = rows.iter().filter(|row| row.run == 0 && row.predicted == row.label).count() as u64;
    assert_eq!(confusion.true_negative + confusion.true_positive, right);
    assert_eq!(metrics.headline.accuracy, Some(right as f64 / 12.0));
    assert_ne!(metrics.runs[0].weights, metrics.runs[1].weights);
    assert_eq!(metrics.runs[0].generators.groups.len(), 3);
    assert!(metrics.over_runs["accuracy"].std.is_some());
    let fitted = metrics.runs[0].fitted.as_ref().unwrap();
    assert_eq!(fitted.fitted_on, 12);
    assert!(fitted.inconclusive.low <= fitted.scores.threshold && fitted.scores.threshold <= fitted.inconclusive.high);
    // The temperature changes no order.
    assert_eq!(fitted.scores.roc_auc, metrics.headline.roc_auc);
    let area = metrics.headline.roc_auc.unwrap();
    let interval = metrics.intervals["roc_auc"];
    assert!(interval.low <= area && area <= interval.high);
}

fn check_explanations(folder: &Path) {
    let folder = folder.join(names::EXPLANATIONS);
    let explanations: Explanations = read(&folder.join(names::EXPLANATIONS_INDEX));
    assert!(!explanations.examples.is_empty());
    for example in &explanations.examples {
        let pictures = example.heat_maps.iter().map(|map| &map.overlay).chain([&example.image]);
        for picture in pictures.chain(&explanations.legend) {
            assert!(image::open(folder.join(picture)).is_ok(), "{picture}");
        }
        assert_eq!(example.heat_maps.len(), 2);
        assert_eq!(example.heat_maps[0].class, example.predicted);
    }
    assert!(explanations.sanity.is_some());
}

fn check_robustness(robustness: &Robustness) {
    assert_eq!((robustness.images, robustness.from_files), (6, 6));
    let operations: Vec<&str> = robustness.curves.iter().map(|curve| curve.operation.as_str()).collect();
    assert_eq!(operations, ["jpeg", "resize", "blur", "noise", "crop", "social_media"]);
    for point in robustness.curves.iter().flat_map(|curve| &curve.points) {
        let flips = (point.flips_to_fake + point.flips_to_real) as f64;
        assert_eq!(point.flipped, Some(flips / 6.0));
        assert_eq!(point.scores.n, 6);
    }
}

fn check_comparison(run: &Run) {
    let out = run.dir.path().join("compare");
    let given = run.run_dir().path().to_string_lossy().into_owned();
    let second = format!("{given}:1");
    let out_text = out.to_string_lossy().into_owned();
    let arguments = [given.as_str(), &second, "--out", &out_text, "--resamples", "50"].map(str::to_owned);
    succeed(&program(env!("CARGO_BIN_EXE_candling-compare"), &arguments));
    let comparison: Comparison = read(&out.join(Comparison::FILE));
    assert_eq!((comparison.images, comparison.entrants.len(), comparison.pairs.len()), (12, 2, 1));
    let pair = &comparison.pairs[0];
    let areas = [0, 1].map(|index| comparison.entrants[index].scores.roc_auc.unwrap());
    assert!((pair.roc_auc.unwrap().difference - (areas[0] - areas[1])).abs() < 1e-12);
    assert_eq!(pair.differences[0].value, Some(areas[0] - areas[1]));
}

fn check_predictions(run: &Run, folder: &Path) {
    let judged = predictions::read(&folder.join(names::PREDICTIONS)).unwrap();
    let source = run.source().join("test");
    let hostile = source.join("a\u{1b}[31m<b>\n.png");
    std::fs::write(&hostile, b"\x89PNG\r\n\x1a\n and then nothing").unwrap();
    std::fs::write(source.join("empty.jpg"), b"").unwrap();
    let overlays = run.dir.path().join("overlays");
    let (rows, output) =
        run.predict(&[&source.to_string_lossy(), "--batch", "5", "--explain", &overlays.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rows.len(), 14);
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    let (broken, good): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["error"].is_string());
    assert_eq!(broken.len(), 2);
    assert!(broken.iter().all(|row| row["verdict"].is_null() && row["p_fake"].is_null()));
    for row in good {
        let file = row["file"].as_str().unwrap();
        let expected = judged.iter().find(|judged| judged.run == 0 && judged.id.to_string() == file).unwrap();
        assert_eq!(row["p_fake"].as_f64().unwrap().to_bits(), expected.p_fake.to_bits(), "{row}");
        assert!(row["p_fake_calibrated"].is_number() && row["verdict"].is_string());
        assert!(image::open(row["explanation"].as_str().unwrap()).is_ok());
    }
}

#[test]
fn mistakes_are_told_apart_by_their_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().to_string_lossy().into_owned();
    let evaluate = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|s| (*s).to_owned()).collect();
        let output = program(env!("CARGO_BIN_EXE_candling-evaluate"), &arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, message) = evaluate(&["--run-dir", &empty]);
    assert_eq!(code, Some(3), "{message}");
    assert!(message.contains("cargo xtask ingest"), "{message}");
    let (code, message) = evaluate(&["--run-dir", &empty, "--set", "evaluate.bacth=3"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("evaluate.batch"), "{message}");
    let (code, message) = evaluate(&["--run-dir", &empty, "--set", "evaluate.batch=0"]);
    assert_eq!(code, Some(2), "{message}");
}
