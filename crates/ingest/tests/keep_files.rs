//! Shards with `ingest.keep_files` have the files of all kinds of sources.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use artifacts::Split;
use artifacts::hash::Hash;
use parquet::arrow::ArrowWriter;
use pixels::{Limits, decode};

use crate::common::{Ingested, Workplace, expected_pixels, picture};

const KEEP: &str = "keep_files=true";

/// Checks that the shards keep the source's own files, and pixels that come from them.
#[track_caller]
fn check_originals(ingested: &Ingested, images: usize) {
    let mut found = 0;
    for split in Split::ALL.into_iter().filter(|split| ingested.summary().splits.contains_key(split)) {
        let shards = ingested.shards(split);
        shards.require_files().unwrap();
        for row in 0..shards.len() {
            let file = shards.file(row).unwrap();
            let sample = shards.sample(row);
            assert_eq!((Hash::of(file), file.len() as u64), (sample.id, sample.file_bytes), "{}", sample.path);
            assert_eq!(shards.pixels(row), expected_pixels(file), "{}", sample.path);
            found += 1;
        }
    }
    assert_eq!(found, images);
}

#[test]
fn keeps_the_files_of_a_folder_whatever_the_number_of_threads() {
    let place = Workplace::new();
    place.add_splits(&["train"], 20);
    let set = [KEEP, "shard_rows=13"];
    let run = |name: &str, threads| place.ingest_with_threads(name, &place.path("data"), &set, threads).done();
    let one = run("one", 1);
    check_originals(&one, 40);
    assert_eq!(one.files(), run("two", 2).files());
    assert_eq!(one.files(), run("five", 5).files());
    // Everything but the column of files is as without the key.
    let without = place.ingest("without", &place.path("data"), &["shard_rows=13"]).done();
    assert!(!without.shards(Split::Train).has_files());
    assert_eq!(one.audit(), without.audit());
    for split in [Split::Train, Split::Val, Split::Test] {
        let [with, without] = [&one, &without].map(|ingested| ingested.shards(split));
        assert_eq!(with.samples(), without.samples());
        assert!((0..with.len()).all(|row| with.pixels(row) == without.pixels(row)));
    }
}

#[test]
fn keeps_the_files_of_zips_lists_tables_kaggle_and_simulated_sets() {
    let place = Workplace::new();

    let archive = place.path("data.zip");
    let mut zip = zip::ZipWriter::new(File::create(&archive).unwrap());
    let mut list = "path,label\n".to_owned();
    let mut files = Vec::new();
    for number in 0..16 {
        let label = ["real", "fake"][number as usize % 2];
        zip.start_file(format!("{label}/{number}.jpg"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&picture(number)).unwrap();
        place.add(&format!("listed/{number}.jpg"), &picture(number));
        list += &format!("listed/{number}.jpg,{label}\n");
        files.push(picture(number));
    }
    zip.finish().unwrap();
    check_originals(&place.ingest("zip", &archive, &[KEEP]).done(), 16);

    place.add("list.csv", list.as_bytes());
    check_originals(&place.ingest("csv", &place.path("data/list.csv"), &[KEEP]).done(), 16);

    let labels: ArrayRef = Arc::new((0..16).map(|row| Some(row % 2)).collect::<Int64Array>());
    let images: ArrayRef = Arc::new(files.iter().map(|file| Some(file.as_slice())).collect::<BinaryArray>());
    let batch = RecordBatch::try_from_iter([("image", images), ("label", labels)]).unwrap();
    let table = place.path("data.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&table).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    check_originals(&place.ingest("table", &table, &[KEEP]).done(), 16);

    place.add("datasets/owner/set/3.complete", b"");
    (0..4).for_each(|number| {
        let class = ["real", "fake"][number as usize % 2];
        place.add(&format!("datasets/owner/set/versions/3/test/{class}/{number}.jpg"), &picture(number));
    });
    check_originals(&place.ingest("kaggle", "kaggle:owner/set".as_ref(), &[KEEP]).done(), 4);

    let simulated = "simulated:train=12,test=6,size=32".as_ref();
    check_originals(&place.ingest("simulated", simulated, &[KEEP]).done(), 18);
}

#[test]
fn keeps_the_reencoded_file_even_with_strip() {
    let place = Workplace::new();
    place.add_splits(&["test"], 4);
    let reencode = "reencode={format='jpeg', quality=60}";
    let ingested = place.ingest("run", &place.path("data"), &[KEEP, reencode, "strip=true"]).done();
    let shards = ingested.shards(Split::Test);
    for row in 0..shards.len() {
        let path = place.path("data").join(&shards.sample(row).path);
        let original = decode(&std::fs::read(path).unwrap(), &Limits::default()).unwrap().rgb;
        let expected = pixels::encode::jpeg(&original, 60, pixels::encode::Subsampling::Quarter).unwrap();
        assert!(shards.file(row) == Some(&expected));
        assert_eq!(shards.pixels(row), expected_pixels(&expected));
    }
    let message = place.ingest("refused", &place.path("data"), &[KEEP, "strip=true"]).failed(2);
    assert!(message.contains("ingest.keep_files must be false with ingest.strip"), "{message}");
}

#[test]
fn a_run_without_the_key_is_up_to_date_until_it_is_set() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 6);
    let ingested = place.ingest("run", &place.path("data"), &[]).done();
    // A manifest of before the key existed.
    let path = place.path("run").join("ingest/manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["config"].as_object_mut().unwrap().remove("keep_files").unwrap();
    std::fs::write(&path, manifest.to_string()).unwrap();
    assert!(!place.plan("run", &place.path("data"), &[]).run);
    let plan = place.plan("run", &place.path("data"), &[KEEP]);
    assert!(plan.run && plan.reason.contains("keep_files: false -> true"), "{}", plan.reason);
    let kept = place.ingest("run", &place.path("data"), &[KEEP]).done();
    assert_eq!(kept.samples(Split::Test), ingested.samples(Split::Test));
    check_originals(&kept, 24);
}

#[test]
fn plan_estimates_the_kept_files() {
    let place = Workplace::new();
    place.add_splits(&["train"], 20);
    let total: u64 = (0..40).map(|number| picture(number).len() as u64).sum();
    let notice = place.plan("run", &place.path("data"), &[KEEP]).notices.concat();
    let (pixels, files) = (artifacts::progress::bytes(40 * 16 * 16 * 3), notice.split("and about ").nth(1).unwrap());
    assert!(notice.contains(&format!("40 images of 16x16 take {pixels}")), "{notice}");
    let kilobytes: f64 = files.split(' ').next().unwrap().parse().unwrap();
    assert!((kilobytes * 1e3 / total as f64 - 1.0).abs() < 0.2, "{notice} {total}");
}
