//! The robustness sweep finds the original files of every kind of source.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use artifacts::atomic::DirWriter;
use artifacts::hash::Hash;
use artifacts::schema::Robustness;
use artifacts::shard::{Sample, ShardWriter, Shards};
use artifacts::stage::StagePlan;
use artifacts::{Manifest, Split, names};
use parquet::arrow::ArrowWriter;
use pipeline_tests::untrained::{IMAGES, Run, read, succeed};
use pixels::encode::{Subsampling, jpeg};
use pixels::{Limits, decode};
use serde_json::json;

/// Runs the sweep. Returns `robustness.json` without the paths of the images, and what the program printed.
fn sweep(run: &Run) -> (Robustness, String) {
    let output = run.evaluate(&["--robustness", "--force", "--set", "evaluate.examples=0"]);
    succeed(&output);
    let mut robustness: Robustness = read(&run.run_dir().evaluate().join(Robustness::FILE));
    robustness.flips.iter_mut().for_each(|image| image.path.clear());
    robustness.flips.sort_by_key(|image| image.id.to_string());
    (robustness, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Replaces the shards by ones of the same images that were ingested from `source`, with other paths. `root` is the
/// recorded root of the source.
fn ingest_from(run: &Run, source: &str, root: Option<&Path>, path: impl Fn(&Sample) -> String) {
    replace_shards(run, source, root, path, |_| None);
}

/// Replaces the shards like [`ingest_from`]. `file` returns the file to keep of an image; `None` for all to keep none.
fn replace_shards(
    run: &Run,
    source: &str,
    root: Option<&Path>,
    path: impl Fn(&Sample) -> String,
    file: impl Fn(&Sample) -> Option<Vec<u8>>,
) {
    let ingest = run.run_dir().ingest();
    let old = Manifest::require(&ingest, names::INGEST).unwrap();
    let writer = DirWriter::create(&ingest).unwrap();
    for split in Split::ALL {
        let shards = Shards::open(&ingest, split).unwrap();
        let new = if file(shards.sample(0)).is_some() { ShardWriter::with_files } else { ShardWriter::new };
        let mut out = new(writer.path(), split, shards.size(), 100);
        for row in 0..shards.len() {
            let sample = shards.sample(row);
            let moved = Sample { path: path(sample), ..sample.clone() };
            match file(sample) {
                Some(file) => out.push_with_file(moved, shards.pixels(row), &file).unwrap(),
                None => out.push(moved, shards.pixels(row)).unwrap(),
            }
        }
        out.finish().unwrap();
    }
    let code = artifacts::Code { executable: Hash::of(b"test"), ..old.code };
    let manifest = Manifest::of(writer.path(), names::INGEST, code).unwrap();
    let mut summary = old.summary;
    summary["source"] = json!(source);
    summary["files"] = json!(root);
    let mut config = old.config;
    config["source"] = json!(source);
    Manifest { summary, config, ..manifest }.write(writer.path()).unwrap();
    writer.publish().unwrap();
}

/// The image files that the run was made from, by path below the source folder.
fn files(run: &Run) -> Vec<(String, Vec<u8>)> {
    let shards = Split::ALL.map(|split| Shards::open(&run.run_dir().ingest(), split).unwrap());
    let paths = shards.iter().flat_map(|shards| shards.samples().iter().map(|sample| sample.path.clone()));
    paths.map(|path| (path.clone(), fs::read(run.source().join(&path)).unwrap())).collect()
}

fn write_table(path: &Path, files: &[(String, Vec<u8>)]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let column = |of: fn(&str) -> String| -> ArrayRef {
        Arc::new(files.iter().map(|(path, _)| Some(of(path))).collect::<StringArray>())
    };
    let images: ArrayRef = Arc::new(files.iter().map(|(_, bytes)| Some(bytes.as_slice())).collect::<BinaryArray>());
    let columns = [
        ("image", images),
        ("label", column(|path| path.split('/').nth(1).unwrap().to_owned())),
        ("split", column(|path| path.split('/').next().unwrap().to_owned())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Makes a run from a folder and sweeps it. Returns the run, the result, and a path that does not exist yet, for
/// another source of the same files.
fn run_and_reference() -> (Run, Robustness, PathBuf) {
    let run = Run::new();
    let (reference, message) = sweep(&run);
    assert_eq!((reference.images, reference.from_files), (u64::from(IMAGES), u64::from(IMAGES)));
    assert!(!message.contains("stored pixels"), "{message}");
    let elsewhere = run.dir.path().join("elsewhere");
    (run, reference, elsewhere)
}

#[test]
fn degrades_the_files_of_a_parquet_table() {
    let (run, reference, elsewhere) = run_and_reference();
    let files = files(&run);
    let table = elsewhere.join("data.parquet");
    write_table(&table, &files);
    fs::remove_dir_all(run.source()).unwrap();
    let row = |sample: &Sample| files.iter().position(|(path, _)| *path == sample.path).unwrap();
    ingest_from(&run, "data.parquet", Some(&table), |sample| format!("data.parquet/{}", row(sample)));
    let (found, message) = sweep(&run);
    assert_eq!(found, reference, "{message}");
}

#[test]
fn degrades_the_files_of_a_csv_and_counts_missing_ones() {
    let (run, reference, elsewhere) = run_and_reference();
    fs::create_dir_all(&elsewhere).unwrap();
    fs::rename(run.source(), elsewhere.join("images")).unwrap();
    let rows = files_of_csv(&run);
    fs::write(elsewhere.join("list.csv"), format!("path,label\n{rows}")).unwrap();
    ingest_from(&run, "list.csv", Some(&elsewhere), |sample| format!("images/{}", sample.path));
    let (found, message) = sweep(&run);
    assert_eq!(found, reference, "{message}");

    // One file is gone, and another one has changed.
    let test = |number: usize| {
        let shards = Shards::open(&run.run_dir().ingest(), Split::Test).unwrap();
        elsewhere.join(&shards.sample(number).path)
    };
    fs::remove_file(test(0)).unwrap();
    fs::copy(test(2), test(1)).unwrap();
    let (found, message) = sweep(&run);
    assert_eq!((found.images, found.from_files), (u64::from(IMAGES), u64::from(IMAGES) - 2));
    assert!(message.contains("2 of 12 images are degraded from their stored pixels"), "{message}");
}

fn files_of_csv(run: &Run) -> String {
    let shards = Split::ALL.map(|split| Shards::open(&run.run_dir().ingest(), split).unwrap());
    let samples = shards.iter().flat_map(|shards| shards.samples());
    samples.map(|sample| format!("images/{},{}\n", sample.path, sample.label)).collect()
}

#[test]
fn degrades_stored_pixels_if_the_source_is_gone() {
    let (run, _, _) = run_and_reference();
    fs::remove_dir_all(run.source()).unwrap();
    let (found, message) = sweep(&run);
    assert_eq!((found.images, found.from_files), (u64::from(IMAGES), 0));
    assert!(message.contains("failed to open the source"), "{message}");
}

#[test]
fn degrades_the_files_that_the_shards_keep() {
    let (run, reference, _) = run_and_reference();
    let source = run.source();
    let kept = |sample: &Sample| fs::read(source.join(&sample.path)).ok();
    replace_shards(&run, "source", None, |sample| sample.path.clone(), kept);
    fs::remove_dir_all(&source).unwrap();
    let (found, message) = sweep(&run);
    assert_eq!(found, reference, "{message}");
    assert!(!message.contains("instead of their original files"), "{message}");
}

#[test]
fn degrades_reencoded_files_if_the_source_is_gone() {
    let (run, reference, _) = run_and_reference();
    let source = run.source();
    let reencoded = |sample: &Sample| {
        let original = decode(&fs::read(source.join(&sample.path)).unwrap(), &Limits::default()).unwrap().rgb;
        jpeg(&original, 60, Subsampling::Quarter).ok()
    };
    replace_shards(&run, "source", Some(&source), |sample| sample.path.clone(), reencoded);
    // Original files come before re-encoded ones.
    let (found, message) = sweep(&run);
    assert_eq!(found, reference, "{message}");
    fs::remove_dir_all(&source).unwrap();
    let (found, message) = sweep(&run);
    assert_eq!((found.images, found.from_files), (u64::from(IMAGES), 0));
    assert!(message.contains("12 of 12 images are degraded from their re-encoded files"), "{message}");
}

#[test]
fn earlier_method_makes_only_evaluations_with_robustness_stale() {
    const INPUT: &str = "robustness method";
    let run = Run::new();
    let evaluation = run.run_dir().evaluate();
    let manifest = || Manifest::require(&evaluation, names::EVALUATE).unwrap();
    let plan = || -> StagePlan {
        let output = run.evaluate(&["--robustness", "--plan", "--set", "evaluate.examples=0"]);
        succeed(&output);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    assert!(!manifest().inputs.contains_key(INPUT));
    sweep(&run);
    assert!(!plan().run, "{}", plan().reason);

    let mut earlier = manifest();
    earlier.inputs.remove(INPUT).unwrap();
    earlier.write(&evaluation).unwrap();
    assert!(plan().run && plan().reason.contains(INPUT), "{}", plan().reason);
}
