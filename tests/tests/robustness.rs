//! Runs pipelines on a CSV list and on a parquet table up to the robustness sweep, which reads the original files
//! again.

use std::fs::{self, File};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use artifacts::random;
use parquet::arrow::ArrowWriter;
use pipeline_tests::{Sandbox, complete_manifest, json};
use pixels::RgbImage;
use pixels::encode::{Subsampling, jpeg};
use rand::RngExt;

/// An image file with its label and its split.
struct Sample {
    path: String,
    label: &'static str,
    split: &'static str,
    file: Vec<u8>,
}

/// Returns 32 training images and 12 test images, half of them real. Each consists of patches of random colours.
fn samples() -> Vec<Sample> {
    let sample = |number: u64| {
        let mut stream = random::stream(5, "patches", &[number]);
        let colours: Vec<[u8; 3]> = (0..64).map(|_| stream.random()).collect();
        let image = RgbImage::from_fn(64, 64, |x, y| colours[(y / 8 * 8 + x / 8) as usize]);
        Sample {
            path: format!("images/{number}.jpg"),
            label: if number.is_multiple_of(2) { "real" } else { "fake" },
            split: if number < 32 { "train" } else { "test" },
            file: jpeg(&image, 90, Subsampling::Full).unwrap(),
        }
    };
    (0..44).map(sample).collect()
}

/// Runs the pipeline up to the evaluation and checks that the sweep degrades the original files of all test images.
#[track_caller]
fn check_sweep(sandbox: &Sandbox, name: &str, source: &str) {
    let run = sandbox.run(name);
    let settings = ["train.epochs=1", "evaluate.robustness=true", "evaluate.examples=0"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments: Vec<&str> = ["--until", "evaluate", "--data", source].into_iter().chain(settings).collect();
    let stderr = sandbox.pipeline_into(&run, &arguments).expect_code(0).stderr;
    complete_manifest(&run.evaluate());
    let robustness = json(&run.evaluate().join("robustness.json"));
    // `from_files` counts the images whose original file was found and degraded, not the pixels of the shard.
    assert_eq!((&robustness["images"], &robustness["from_files"]), (&12.into(), &12.into()), "{name}: {stderr}");
}

#[test]
fn sweep_reads_files_of_csv_and_parquet_sources() {
    let sandbox = Sandbox::new();
    let samples = samples();

    fs::create_dir(sandbox.path().join("images")).unwrap();
    let mut list = "path,label,split\n".to_owned();
    for Sample { path, label, split, file } in &samples {
        fs::write(sandbox.path().join(path), file).unwrap();
        list += &format!("{path},{label},{split}\n");
    }
    let csv = sandbox.path().join("list.csv");
    fs::write(&csv, list).unwrap();
    check_sweep(&sandbox, "csv", csv.to_str().unwrap());

    let text = |of: fn(&Sample) -> &str| -> ArrayRef {
        Arc::new(samples.iter().map(|sample| Some(of(sample))).collect::<StringArray>())
    };
    let images: ArrayRef = Arc::new(samples.iter().map(|sample| Some(sample.file.as_slice())).collect::<BinaryArray>());
    let columns = [("image", images), ("label", text(|sample| sample.label)), ("split", text(|sample| sample.split))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let table = sandbox.path().join("data.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&table).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    check_sweep(&sandbox, "parquet", table.to_str().unwrap());
}
