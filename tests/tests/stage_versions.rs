//! Checks that the version of a stage is raised when its results change: a fixed tiny input must give the golden
//! results of the stage's version.
//!
//! The inputs are computed from integers only. Programs compute with the portable instruction set
//! (`CANDLING_ISA=portable`), so that results do not depend on the processor. Numbers are compared with a tolerance,
//! see [`pipeline_tests::golden`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::hash::{Digest, Hash};
use artifacts::schema::Epoch;
use artifacts::shard::{Sample, ShardSet, ShardWriter};
use artifacts::{Code, Label, Manifest, RunDir, Split, atomic, names, predictions, random};
use pipeline_tests::{complete_manifest, golden, json, output_of, program};
use rand::RngExt;
use serde_json::{Value, json};

/// The smallest side of an image that the network accepts.
const SIDE: usize = 32;

/// Runs a stage program on a run with the portable instruction set.
fn run_stage(stage: &str, run: &RunDir, sets: &[&str]) -> Manifest {
    let mut command: Command = program(&format!("candling-{stage}"));
    command.env("CANDLING_ISA", "portable").arg("--run-dir").arg(run.path());
    for set in sets {
        command.arg("--set").arg(format!("{stage}.{set}"));
    }
    output_of(&mut command).expect_code(0);
    complete_manifest(&if stage == names::TRAIN { run.train_run(0) } else { run.stage(stage) })
}

/// Returns random pixels, `[side, side, 3]`. The pixels of fakes are brighter.
fn pixels(split: Split, i: usize, side: usize) -> Vec<u8> {
    let floor = if i % 2 == 1 { 100 } else { 0 };
    let mut random = random::stream(11, split.name(), &[i as u64]);
    (0..side * side * 3).map(|_| floor + random.random_range(0..150)).collect()
}

/// Encodes pixels as an uncompressed bitmap with 24 bits per pixel. Its rows have no padding because `side` is a
/// multiple of 4.
pub(crate) fn bitmap(pixels: &[u8], side: u32) -> Vec<u8> {
    let size = 54 + side * side * 3;
    let fields = [size, 0, 54, 40, side, side, 1 | 24 << 16, 0, side * side * 3, 2835, 2835, 0, 0];
    let header: Vec<u8> = b"BM".iter().copied().chain(fields.iter().flat_map(|field| field.to_le_bytes())).collect();
    [header.as_slice(), pixels].concat()
}

#[test]
fn ingest_gives_golden_shards_and_audit() {
    let dir = tempfile::tempdir().unwrap();
    let (source, run) = (dir.path().join("images"), RunDir::new(dir.path().join("run")));
    for (split, images) in [(Split::Train, 24), (Split::Test, 8)] {
        for i in 0..images {
            let folder = source.join(split.name()).join(["real", "fake"][i % 2]);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{i}.bmp")), bitmap(&pixels(split, i, 40), 40)).unwrap();
        }
    }
    // Add other formats, and a file that is not an image.
    let decode = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/pixels/decode");
    for (name, to) in [
        ("orientation-6.png", "test/real"),
        ("baseline-420.jpg", "test/fake"),
        ("lossless.webp", "train/real"),
        ("grey-alpha-16bit.png", "train/fake"),
    ] {
        fs::copy(decode.join(name), source.join(to).join(name)).unwrap();
    }
    fs::write(source.join("train/real/broken.png"), "not an image").unwrap();

    let set = format!("source={}", source.display());
    let manifest = run_stage("ingest", &run, &[&set, "size=32", "val_fraction=0.25"]);
    let shards = ShardSet::open(&run.ingest()).unwrap();
    let splits = Split::ALL.map(|split| (split.name().to_owned(), split_results(&shards, split)));
    let mut audit = json(&run.ingest().join(names::AUDIT));
    // Shortcuts contain prose, which is not a result.
    audit.as_object_mut().unwrap().remove("shortcuts");
    let rejected: Vec<Value> = atomic::read_lines(&run.ingest().join(names::REJECTED), "list").unwrap();
    let rejected: Vec<_> = rejected.iter().map(|row| json!({ "path": row["path"], "reason": row["reason"] })).collect();
    let values = json!({ "splits": Value::from_iter(splits), "audit": audit, "rejected": rejected });
    golden::check(names::INGEST, manifest.code.version, &values);
}

/// Returns the values of a split that are compared.
fn split_results(set: &ShardSet, split: Split) -> Value {
    let shards = set.split(split).unwrap();
    let mut pixels = Digest::default();
    let mut samples = Vec::new();
    for (i, sample) in shards.samples().iter().enumerate() {
        let Sample { id, path, label, width, height, format, file_bytes, generator, .. } = sample;
        let mean = shards.pixels(i).iter().map(|&level| f64::from(level)).sum::<f64>() / shards.pixels(i).len() as f64;
        pixels = pixels.part(path, shards.pixels(i));
        samples.push(json!([id, path, label, width, height, format, file_bytes, generator, mean]));
    }
    json!({ "samples": samples, "pixels": pixels.finish() })
}

/// Writes a complete ingest artifact without the ingest stage.
fn write_shards(run: &RunDir) {
    let dir = run.ingest();
    fs::create_dir_all(&dir).unwrap();
    for (split, images) in [(Split::Train, 10), (Split::Val, 8), (Split::Test, 16)] {
        let mut writer = ShardWriter::new(&dir, split, [SIDE, SIDE], 10);
        for i in 0..images {
            let pixels = pixels(split, i, SIDE);
            let label = Label::ALL[i % 2];
            let sample = Sample {
                id: Hash::of(&pixels),
                path: format!("{split}/{label}/{i}.png"),
                label,
                split,
                generator: if label == Label::Fake { "noise".to_owned() } else { String::new() },
                width: SIDE as u32,
                height: SIDE as u32,
                format: "png".to_owned(),
                file_bytes: 1,
                columns: BTreeMap::new(),
            };
            writer.push(sample, &pixels).unwrap();
        }
        writer.finish().unwrap();
    }
    let counts = |n: u64| json!({ "labels": { "real": n, "fake": n }, "generators": {}, "formats": {} });
    let summary = json!({
        "source": "fixed", "simulated": false, "size": [SIDE, SIDE], "seen": 34, "rejected": 0, "rejected_by_reason": {},
        "splits": { "train": counts(5), "val": counts(4), "test": counts(8) }, "images_per_second": 1.0,
    });
    write_manifest(&dir, names::INGEST, json!({ "filter": "bilinear", "fit": "squash", "reencode": null }), summary);
}

fn write_manifest(dir: &Path, stage: &str, config: Value, summary: Value) {
    let code = Code { version: 1, program: "fixed".to_owned(), executable: Hash::of(b"fixed") };
    let manifest = Manifest::of(dir, stage, code).unwrap();
    Manifest { config, summary, device: "fixed".to_owned(), seconds: 1.0, ..manifest }.write(dir).unwrap();
}

#[test]
fn train_evaluate_and_report_give_golden_results() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path().join("run"));
    write_shards(&run);

    let trained = run_stage("train", &run, &["weights=none", "epochs=2", "batch=5", "learning_rate=1e-4", "seed=7"]);
    golden::check(names::TRAIN, trained.code.version, &training_results(&run.train_run(0)));

    // Use a checkpoint whose weights do not depend on the train stage.
    let checkpoint = dir.path().join("checkpoint");
    fixed_checkpoint(&run.train_run(0).join("best"), &checkpoint);
    let set = format!("ckpt={}", checkpoint.display());
    let evaluated = run_stage("evaluate", &run, &[&set, "resamples=50", "examples=1", "batch=8"]);
    golden::check(names::EVALUATE, evaluated.code.version, &evaluation_results(&run.evaluate()));

    let reported = run_stage("report", &run, &[]);
    golden::check(names::REPORT, reported.code.version, &report_results(&run.report()));
}

fn training_results(run: &Path) -> Value {
    let rows: Vec<Epoch> = atomic::read_lines(&run.join(names::HISTORY), "training history").unwrap();
    let untimed = |row: Epoch| Epoch { train_seconds: 0.0, val_seconds: 0.0, images_per_second: 0.0, ..row };
    json!({
        "epochs": rows.into_iter().map(untimed).collect::<Vec<_>>(),
        "config": json(&run.join("best").join(names::MODEL_CONFIG)),
        "preprocessor": json(&run.join("best").join(names::PREPROCESSOR_CONFIG)),
    })
}

/// Copies a checkpoint and replaces its weights with uniform random ones. Convolutions and the head get He's variance,
/// and most batch norms change nothing. Normal distributions are not used: they need logarithms, which differ between
/// machines.
fn fixed_checkpoint(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in [names::MODEL_CONFIG, names::PREPROCESSOR_CONFIG] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let mut file = fs::read(from.join(names::WEIGHTS)).unwrap();
    let start = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..start]).unwrap();
    for (name, tensor) in header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__") {
        let shape: Vec<f64> = tensor["shape"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
        let [begin, end] = [0, 1].map(|i| start + tensor["data_offsets"][i].as_u64().unwrap() as usize);
        if name.ends_with("num_batches_tracked") {
            continue; // A counter of torchvision's, which nothing reads.
        }
        assert_eq!(tensor["dtype"], "F32", "{name}");
        let mut random = random::stream(5, name, &[]);
        let mut value = || match shape.len() {
            // The last batch norm of a block damps its residual branch, so that activations do not grow from block to
            // block.
            1 if name.ends_with("bn3.weight") => 0.25,
            1 if name.ends_with("running_var") || (name.ends_with("weight") && name.contains("bn")) => 1.0,
            1 if name.ends_with("downsample.1.weight") => 1.0,
            1 => 0.0,
            _ => {
                let limit = (6.0 / shape[1..].iter().product::<f64>()).sqrt();
                (random.random_range(-1000..=1000) as f64 / 1000.0 * limit) as f32
            }
        };
        for place in (begin..end).step_by(4) {
            file[place..place + 4].copy_from_slice(&value().to_le_bytes());
        }
    }
    fs::write(to.join(names::WEIGHTS), file).unwrap();
}

fn evaluation_results(dir: &Path) -> Value {
    let predictions = predictions::read(&dir.join(names::PREDICTIONS)).unwrap();
    let predictions: Vec<Value> =
        predictions.iter().map(|p| json!([p.path, p.label, p.logit_real, p.logit_fake, p.p_fake])).collect();
    let mut metrics = json(&dir.join(names::METRICS));
    // The checkpoint is in a temporary folder, whose path differs from run to run.
    metrics.as_object_mut().unwrap().remove("checkpoint");
    let mut explanations = files(&dir.join(names::EXPLANATIONS), "");
    explanations.sort();
    json!({ "predictions": predictions, "metrics": metrics, "explanations": explanations })
}

/// Returns the figures of the report and their numbers. The wording of the report is not compared, because changes of
/// wording do not make existing reports stale.
fn report_results(dir: &Path) -> Value {
    let figures = dir.join("figures");
    let mut names = files(&figures, "");
    names.sort();
    let tables = names.iter().filter(|name| name.ends_with(".csv")).map(|name| {
        let text = fs::read_to_string(figures.join(name)).unwrap();
        let cell = |cell: &str| cell.parse::<f64>().map_or_else(|_| json!(cell), |number| json!(number));
        let rows: Vec<Vec<Value>> = text.lines().map(|line| line.split(',').map(cell).collect()).collect();
        (name.clone(), json!(rows))
    });
    json!({ "files": names, "tables": Value::from_iter(tables.collect::<Vec<_>>()) })
}

/// Returns the paths of all files below a folder, relative to it, with `/` as separator.
fn files(dir: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| format!("{prefix}{}", path.file_name().unwrap().to_string_lossy());
    entries
        .flat_map(|path| if path.is_dir() { files(&path, &format!("{}/", name(&path))) } else { vec![name(&path)] })
        .collect()
}
