//! Ingest of several sources at once, and of images that belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use artifacts::{Label, Split};
use loopback::{Reply, Server};
use parquet::arrow::ArrowWriter;

use crate::common::{Ingested, Workplace, picture};

/// Writes a table of images whose classes are called `human` and `machine`.
fn write_table(place: &Workplace, numbers: std::ops::Range<u32>) {
    let files: Vec<Vec<u8>> = numbers.clone().map(picture).collect();
    let images: BinaryArray = files.iter().map(|file| Some(file.as_slice())).collect();
    let classes: StringArray = numbers.map(|number| Some(["human", "machine"][number as usize % 2])).collect();
    let columns = [("image", Arc::new(images) as ArrayRef), ("label", Arc::new(classes) as ArrayRef)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    fs::create_dir_all(place.path("data")).unwrap();
    let file = File::create(place.path("data/survey.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Split, label, generator and pixels by the hash of the file.
type Images = BTreeMap<String, (Split, Label, String, Vec<u8>)>;

fn images(ingested: &Ingested) -> Images {
    let mut images = Images::new();
    for split in Split::ALL {
        let shards = ingested.shards(split);
        for (row, sample) in ingested.samples(split).into_iter().enumerate() {
            let pixels = shards.pixels(row).to_vec();
            images.insert(sample.id.to_string(), (split, sample.label, sample.generator, pixels));
        }
    }
    images
}

#[test]
fn several_sources_give_the_shards_of_one_folder() {
    let place = Workplace::new();
    // Neither folder is named after a class. The table has names of its own.
    for number in 0..30 {
        place.add(&format!("holiday/{number}.jpg"), &picture(number));
        place.add(&format!("out/{number}.jpg"), &picture(100 + number));
    }
    write_table(&place, 200..240);
    // The same images in one folder.
    for number in 0..30 {
        place.add(&format!("one/real/{number}.jpg"), &picture(number));
        place.add(&format!("one/fake/sdxl/{number}.jpg"), &picture(100 + number));
    }
    for number in 200..240 {
        let class = ["real", "fake/survey"][number as usize % 2];
        place.add(&format!("one/{class}/{number}.jpg"), &picture(number));
    }
    let list = "[{ source = 'data/holiday', label = 'real' }, \
                { source = 'data/out', label = 'fake', generator = 'sdxl' }, \
                { source = 'data/survey.parquet', labels = { human = 'real', machine = 'fake' }, generator = 'survey' }]";
    let several = place.ingest_list("several", list, &[]).done();
    let one = place.ingest("one-run", &place.path("data/one"), &[]).done();
    assert_eq!(images(&several).len(), 100);
    assert_eq!(images(&several), images(&one));

    let summary = several.summary();
    assert_eq!(summary.source, "holiday + out + survey.parquet");
    assert_eq!((summary.files, summary.files_of_parts.len()), (None, 3));
    let in_survey = |path: &String| path.starts_with("survey.parquet/survey.parquet/");
    assert_eq!(several.paths(Split::Train).iter().filter(|path| in_survey(path)).count(), 29);
    // Up to date until a source changes.
    let again = place.ingest_list("several", list, &[]).done();
    assert!(again.message().contains("up to date"), "{}", again.message());
    place.add("out/31.jpg", &picture(131));
    let changed = place.ingest_list("several", list, &[]).done();
    assert_eq!(changed.summary().seen, 101);
}

#[test]
fn data_set_of_the_hub_is_one_of_the_sources() {
    let place = Workplace::new();
    write_table(&place, 0..40);
    place.add_splits(&["a"], 10);
    let table = fs::read(place.path("data/survey.parquet")).unwrap();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let hub = Server::start(move |request, _| match request.path.starts_with("/api/datasets/o/n/revision/main") {
        true => Reply::json(&format!(r#"{{"sha": "{commit}", "siblings": [{{"rfilename": "data/train.parquet"}}]}}"#)),
        false => Reply::file(request, &table, "\"etag\"").header("x-repo-commit", commit),
    });
    let environment = [("HF_HOME", place.path("hf").to_string_lossy().into_owned()), ("HF_ENDPOINT", hub.url())];
    let labels = "labels = { human = 'real', machine = 'fake' }";
    let list = format!("['data/a', {{ source = 'hf:datasets/o/n', {labels} }}]");
    let ingested = place.ingest_list_with("run", &list, &[], &environment).done();
    assert_eq!(ingested.summary().seen, 60);
    assert_eq!(ingested.summary().source, "a + hf:datasets/o/n");
    // Without the network, the cache is enough.
    let requests = hub.received().len();
    let offline = [environment.clone(), [("HF_HUB_OFFLINE", "1".to_owned()), ("HF_TOKEN", String::new())]].concat();
    let again = place.ingest_list_with("run", &list, &[], &offline).done();
    assert!(again.message().contains("up to date"), "{}", again.message());
    assert_eq!(hub.received().len(), requests);
    let message = place.ingest_list_with("other", "['hf:o/n', 'data/a']", &[], &environment).failed(2);
    assert!(message.contains("write hf:datasets/owner/name"), "{message}");
}

#[test]
fn sources_have_splits_and_shares_of_their_own() {
    let place = Workplace::new();
    place.add_splits(&["a", "b"], 20);
    let list = "['data/a', { source = 'data/b', split = 'test', share = 0.25 }]";
    let ingested = place.ingest_list("run", list, &[]).done();
    let test = ingested.paths(Split::Test);
    assert_eq!(test.len(), 10);
    assert!(test.iter().all(|path| path.starts_with("b/")), "{test:?}");
    assert_eq!(ingested.paths(Split::Train).len() + ingested.paths(Split::Val).len(), 40);
}

#[test]
fn made_splits_do_not_divide_groups() {
    let place = Workplace::new();
    let mut list = "path,label,person,camera\n".to_owned();
    for number in 0..120 {
        place.add(&format!("images/{number}.jpg"), &picture(number));
        let class = ["real", "fake"][number as usize % 2];
        list += &format!("images/{number}.jpg,{class},person {},x\n", number / 6);
    }
    place.add("list.csv", list.as_bytes());
    let persons = |ingested: &Ingested, split| -> BTreeSet<u32> {
        let number = |path: &String| path["images/".len()..].trim_end_matches(".jpg").parse::<u32>().unwrap();
        ingested.paths(split).iter().map(|path| number(path) / 6).collect()
    };
    let divided = |ingested: &Ingested| {
        let [train, val, test] = [Split::Train, Split::Val, Split::Test].map(|split| persons(ingested, split));
        [train.intersection(&val).count(), train.intersection(&test).count(), val.intersection(&test).count()]
    };
    let csv = place.path("data/list.csv");
    let ungrouped = place.ingest("ungrouped", &csv, &[]).done();
    assert!(divided(&ungrouped).iter().all(|count| *count > 0));
    assert!(ungrouped.message().contains("these columns of the list are not used: person, camera"));
    let grouped = place.ingest("grouped", &csv, &["group_column=person"]).done();
    assert_eq!(divided(&grouped), [0, 0, 0]);
    assert!(grouped.message().contains("20 groups of images with the same person have 120 images"));
    let sizes = [Split::Val, Split::Test].map(|split| grouped.paths(split).len());
    assert!(sizes.iter().all(|size| *size >= 6), "{sizes:?}");
}

#[test]
fn cells_of_report_columns_are_kept() {
    let place = Workplace::new();
    place.add_splits(&["plain"], 10);
    let mut list = "path,label,camera,lens\n".to_owned();
    for number in 0..20 {
        place.add(&format!("images/{number}.jpg"), &picture(500 + number));
        let (class, camera) = [("real", "Pixel 7"), ("fake", "")][number as usize % 2];
        list += &format!("images/{number}.jpg,{class},{camera},x\n");
    }
    place.add("list.csv", list.as_bytes());
    let sources = "['data/list.csv', 'data/plain']";
    let ingested = place.ingest_list("run", sources, &["report_columns=[\"camera\"]", "split=test"]).done();
    assert!(ingested.message().contains("these columns of the list are not used: lens"), "{}", ingested.message());
    let samples = ingested.samples(Split::Test);
    assert_eq!(samples.len(), 40);
    for sample in samples {
        let is_listed = sample.path.starts_with("list.csv/") && sample.label == Label::Real;
        assert_eq!(sample.columns.get("camera").map(String::as_str), is_listed.then_some("Pixel 7"), "{}", sample.path);
    }
    let message = place.ingest_list("missing", sources, &["report_columns=[\"iso\"]"]).failed(3);
    assert!(message.contains("no source has a column `iso`, which ingest.report_columns names"), "{message}");
    let plan = |name: &str| place.ingest_list(name, sources, &["report_columns=[\"camera\"]", "split=test"]).done();
    assert!(plan("run").message().contains("up to date"));
    place.add("list.csv", list.replacen("Pixel 7", "Pixel 8", 1).as_bytes());
    assert!(!plan("run").message().contains("up to date"), "a cell has changed");
}

#[test]
fn invalid_lists_are_usage_errors() {
    let place = Workplace::new();
    place.add_splits(&["a"], 4);
    for (list, set, code, text) in [
        ("[]", "size=16", 2, "ingest.source must be a folder"),
        ("['data/a', '']", "size=16", 2, "ingest.source must be a folder"),
        ("[{ source = 'data/a', share = 2.0 }]", "size=16", 2, "ingest.source.share must be greater than 0"),
        ("[{ source = 'data/a', lable = 'fake' }]", "size=16", 2, "unknown field `lable`"),
        ("[{ source = 'simulated:train=2,test=2,size=32', label = 'fake' }]", "size=32", 2, "remove its `label`"),
        ("['data/a', 'data/gone']", "size=16", 3, "there is no `data/gone`"),
        ("['data/a']", "group_column=person", 3, "no source has a column `person`"),
    ] {
        let message = place.ingest_list("run", list, &[set]).failed(code);
        assert!(message.contains(text), "{list}: {message}");
    }
}
