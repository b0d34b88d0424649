//! Ingest of parquet tables like those of the Hugging Face hub.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field};
use artifacts::{Label, Split};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::common::{self, Workplace, picture};

/// Writes a table with row groups of seven rows. `hub` is the metadata of the Hugging Face hub.
fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, compression: Compression, hub: Option<&str>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let metadata = hub.map(|text| vec![KeyValue::new("huggingface".to_owned(), text.to_owned())]);
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(7))
        .set_key_value_metadata(metadata)
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn files(numbers: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    numbers.map(picture).collect()
}

/// Makes a column like the `Image` feature of the Hugging Face hub.
fn images(files: &[Vec<u8>]) -> ArrayRef {
    let bytes: BinaryArray = files.iter().map(|file| Some(file.as_slice())).collect();
    let names: StringArray = (0..files.len()).map(|row| (row != 3).then(|| format!("{row}.jpg"))).collect();
    Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, true)), Arc::new(bytes) as ArrayRef),
        (Arc::new(Field::new("path", DataType::Utf8, true)), Arc::new(names) as ArrayRef),
    ]))
}

#[test]
fn reads_class_names_of_the_hub_and_splits_from_file_names() {
    let place = Workplace::new();
    // `load_dataset("imagefolder")` numbers classes alphabetically.
    let hub = r#"{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["FAKE", "REAL"], "_type": "ClassLabel"}}}}"#;
    for (start, name) in [
        (0, "train-00000-of-00002"),
        (40, "train-00001-of-00002"),
        (80, "validation-00000-of-00001"),
        (120, "test-00000-of-00001"),
    ] {
        let labels: Int64Array = (0..20).map(|row| Some(row % 2)).collect();
        let columns = vec![("image", images(&files(start..start + 20))), ("label", Arc::new(labels) as ArrayRef)];
        write(&place.path(&format!("data/data/{name}.parquet")), columns, Compression::SNAPPY, Some(hub));
    }
    let ingested = place.ingest("run", &place.path("data"), &[]).done();
    let counts: BTreeMap<Split, usize> =
        Split::ALL.into_iter().map(|split| (split, ingested.paths(split).len())).collect();
    assert_eq!(counts, BTreeMap::from([(Split::Train, 40), (Split::Val, 20), (Split::Test, 20)]));
    let named = place.ingest("named", &place.path("data"), &["generator=sdxl"]).done();
    let is_named = |generator: &str, label| (generator == "sdxl") == (label == Label::Fake);
    assert!(named.samples(Split::Train).iter().all(|sample| is_named(&sample.generator, sample.label)));
    for sample in ingested.samples(Split::Train) {
        let row: usize = sample.path.split('/').nth(2).unwrap().parse().unwrap();
        assert_eq!(sample.label, if row.is_multiple_of(2) { Label::Fake } else { Label::Real }, "{}", sample.path);
        assert_eq!(sample.path.ends_with(".jpg"), row != 3, "{}", sample.path);
    }
    assert!(!ingested.message().contains("0 is read as real"), "{}", ingested.message());
    let one = place.ingest_with_threads("one", &place.path("data"), &[], 1).done();
    assert_eq!(one.files(), place.ingest_with_threads("five", &place.path("data"), &[], 5).done().files());
    assert_eq!(one.files(), ingested.files());
}

#[test]
fn reads_text_and_numbered_labels_and_generators_and_lists_broken_rows() {
    let place = Workplace::new();
    let table = |labels: ArrayRef, broken: bool| {
        let mut files = files(0..40);
        if broken {
            files[4] = b"<html>".to_vec();
            files[5] = Vec::new();
        }
        let bytes: BinaryArray = files.iter().map(|file| (!file.is_empty()).then_some(file.as_slice())).collect();
        let names: StringArray = (0..40).map(|row| Some(format!("image {row}.png"))).collect();
        let models: StringArray = (0..40).map(|row| Some(["camera", "sdxl"][row % 2])).collect();
        let columns: [(&str, ArrayRef); 4] = [
            ("image_name", Arc::new(names)),
            ("image_data", Arc::new(bytes)),
            ("model_name", Arc::new(models)),
            ("label", labels),
        ];
        Vec::from(columns)
    };
    let words: StringArray = (0..40).map(|row| Some(["real", "fake"][row % 2])).collect();
    let path = place.path("data/words.parquet");
    write(&path, table(Arc::new(words), true), Compression::ZSTD(Default::default()), None);
    let ingested = place.ingest("words", &path, &["max_rejected=0.1"]).done();
    let reasons = ingested.reasons();
    let reasons: Vec<_> = reasons.iter().map(|(path, reason)| (path.as_str(), reason.as_str())).collect();
    assert_eq!(reasons, [("words.parquet/4/image 4.png", "not_an_image"), ("words.parquet/5/image 5.png", "empty")]);
    let samples: Vec<_> = Split::ALL.into_iter().flat_map(|split| ingested.samples(split)).collect();
    assert_eq!(samples.len(), 38);
    for sample in samples {
        let generator = if sample.label == Label::Fake { "sdxl" } else { "" };
        assert_eq!(sample.generator, generator, "{}", sample.path);
    }

    let numbers = || Arc::new((0..40).map(|row| Some(row % 2)).collect::<Int64Array>()) as ArrayRef;
    let path = place.path("data/numbers.parquet");
    write(&path, table(numbers(), false), Compression::UNCOMPRESSED, None);
    let ingested = place.ingest("numbers", &path, &[]).done();
    assert!(ingested.message().contains("0 is read as real and 1 as fake"), "{}", ingested.message());
    assert!(ingested.paths(Split::Train).len() > 20);
    let swapped = place.ingest("swapped", &path, &["labels={0='fake', 1='real'}"]).done();
    assert!(!swapped.message().contains("0 is read as real"), "{}", swapped.message());
    let label = |ingested: &common::Ingested| {
        let samples = ingested.samples(Split::Train);
        samples.into_iter().map(|sample| (sample.path, sample.label)).collect::<BTreeMap<_, _>>()
    };
    let (as_is, swapped) = (label(&ingested), label(&swapped));
    assert!(as_is.iter().filter_map(|(path, label)| Some((label, swapped.get(path)?))).all(|(a, b)| a != b));
}

/// Returns the columns of a table with images and further columns.
fn with_images(rows: usize, columns: Vec<(&'static str, ArrayRef)>) -> Vec<(&'static str, ArrayRef)> {
    [vec![("image", images(&files(0..rows as u32)))], columns].concat()
}

#[test]
fn keeps_cells_of_report_columns() {
    let place = Workplace::new();
    let words: StringArray = (0..40).map(|row| Some(["real", "fake"][row % 2])).collect();
    let steps: Float64Array = (0..40).map(|row| (row % 2 == 1).then_some(f64::from(row % 3) * 10.0)).collect();
    let path = place.path("data/steps.parquet");
    let columns = with_images(40, vec![("label", Arc::new(words)), ("Steps", Arc::new(steps))]);
    write(&path, columns, Compression::UNCOMPRESSED, None);
    let ingested = place.ingest("run", &path, &["report_columns=[\"steps\"]", "split=test"]).done();
    let mut cells = BTreeMap::new();
    for sample in ingested.samples(Split::Test) {
        *cells.entry((sample.label, sample.columns.get("steps").cloned())).or_insert(0) += 1;
    }
    let cell = |steps: &str| (Label::Fake, Some(steps.to_owned()));
    let expected = [((Label::Real, None), 20), (cell("0"), 7), (cell("10"), 7), (cell("20"), 6)];
    assert_eq!(cells, BTreeMap::from(expected));
}

#[test]
fn rejects_mixed_numbers_and_names_and_unknown_splits() {
    let place = Workplace::new();
    let hub = r#"{"info": {"features": {"label": {"names": ["fake", "real"], "_type": "ClassLabel"}}}}"#;
    let numbers = || Arc::new((0..20).map(|row| Some(row % 2)).collect::<Int64Array>()) as ArrayRef;
    let write = |name: &str, columns, hub| write(&place.path(name), columns, Compression::UNCOMPRESSED, hub);
    write("mixed/train.parquet", with_images(20, vec![("label", numbers())]), Some(hub));
    write("mixed/test.parquet", with_images(20, vec![("label", numbers())]), None);
    let message = place.ingest("mixed", &place.path("mixed"), &[]).failed(3);
    assert!(
        message.contains("test.parquet` are numbers without names") && message.contains("train.parquet"),
        "{message}"
    );

    let holdout: ArrayRef = Arc::new(StringArray::from(vec!["holdout"; 20]));
    write("splits.parquet", with_images(20, vec![("label", numbers()), ("split", holdout)]), Some(hub));
    let message = place.ingest("splits", &place.path("splits.parquet"), &[]).failed(3);
    assert!(message.contains("unknown split `holdout` in row 0"), "{message}");
    place.ingest("splits", &place.path("splits.parquet"), &["splits.holdout=test"]).done();

    // The notice appears for every way to write the numbers.
    let text: ArrayRef = Arc::new((0..20).map(|row| Some(["0", "1"][row % 2])).collect::<StringArray>());
    let floats: ArrayRef =
        Arc::new((0..20).map(|row| (row != 7).then_some(f64::from(row % 2))).collect::<Float64Array>());
    let named = r#"{"info": {"features": {"label": {"names": ["0", "1"], "_type": "ClassLabel"}}}}"#;
    for (name, labels, hub) in [("text", text, None), ("floats", floats, None), ("named", numbers(), Some(named))] {
        let file = format!("{name}.parquet");
        write(&file, with_images(20, vec![("label", labels)]), hub);
        let ingested = place.ingest(name, &place.path(&file), &["max_rejected=0.1"]).done();
        assert!(ingested.message().contains("0 is read as real"), "{name}: {}", ingested.message());
        assert_eq!(ingested.reasons().len(), usize::from(name == "floats"), "{name}");
    }

    // Without a column of labels, the names of the tables are used. Otherwise the error lists the expected columns.
    write("classes/real.parquet", with_images(20, vec![]), None);
    let fakes = vec![("image", images(&files(100..120)))];
    write("classes/fake.parquet", fakes, None);
    fs::write(place.path("classes/preview.png"), "shows what is in the tables").unwrap();
    let labels = place.ingest("names", &place.path("classes"), &[]).done().summary().splits;
    let counts = |label| labels.values().filter_map(|split| split.labels.get(&label)).sum::<u64>();
    assert_eq!((counts(Label::Real), counts(Label::Fake)), (20, 20));
    write("alone/train.parquet", with_images(20, vec![]), None);
    let message = place.ingest("alone", &place.path("alone"), &[]).failed(3);
    assert!(message.contains("train.parquet") && message.contains("it has no column of labels"), "{message}");
}

#[test]
fn rejects_tables_without_images_and_damaged_tables() {
    let place = Workplace::new();
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    write(&place.path("data/text.parquet"), vec![("text", words)], Compression::UNCOMPRESSED, None);
    let message = place.ingest("text", &place.path("data"), &[]).failed(3);
    assert!(message.contains("text.parquet") && message.contains("it has no column of image files"), "{message}");
    let labelled = |labels: Vec<&str>| -> Vec<(&str, ArrayRef)> {
        let files = files(0..labels.len() as u32);
        vec![("image", images(&files)), ("label", Arc::new(StringArray::from(labels)) as ArrayRef)]
    };
    let path = place.path("data/animals.parquet");
    write(&path, labelled(vec!["cat", "dog", "cat"]), Compression::GZIP(Default::default()), None);
    let message = place.ingest("animals", &path, &[]).failed(3);
    assert!(
        message.contains("its label `cat` names no class; map it with --set ingest.labels.cat=real or"),
        "{message}"
    );
    // A damaged table causes an error and not a crash.
    let whole = fs::read(&path).unwrap();
    let cut = place.path("data/cut.parquet");
    for length in [0, 4, whole.len() / 2, whole.len() - 1] {
        fs::write(&cut, &whole[..length]).unwrap();
        let message = place.ingest("cut", &cut, &[]).failed(3);
        assert!(message.contains("cut.parquet") && !message.contains("panicked"), "{length}: {message}");
    }
    for at in (0..whole.len()).step_by(29) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        fs::write(&cut, damaged).unwrap();
        place.ingest("cut", &cut, &[]).failed(3);
    }
}

#[test]
fn reads_truth_values_as_labels() {
    let place = Workplace::new();
    let truths = || Arc::new((0..20).map(|row| Some(row % 2 == 1)).collect::<BooleanArray>()) as ArrayRef;
    let samples = |run: &str, name: &'static str, set: &[&str]| {
        let path = place.path(&format!("data/{run}/test.parquet"));
        write(&path, vec![("image", images(&files(0..20))), (name, truths())], Compression::SNAPPY, None);
        place.ingest(run, &path, set).done().samples(Split::Test)
    };
    let row = |path: &str| path.split('/').nth(1).unwrap().parse::<usize>().unwrap();
    for (run, name, set, class_of_true) in [
        ("fake", "is_fake", &[][..], Label::Fake),
        ("real", "Is_Real", &[], Label::Real),
        ("named", "made_by_gan", &["label_column=made_by_gan", "labels.true=fake", "labels.false=real"], Label::Fake),
    ] {
        let samples = samples(run, name, set);
        assert_eq!(samples.len(), 20, "{run}");
        for sample in samples {
            let is_true = row(&sample.path) % 2 == 1;
            assert_eq!(sample.label == class_of_true, is_true, "{run} {}", sample.path);
        }
    }
    // Nothing says which class `true` is.
    let path = place.path("data/label/test.parquet");
    write(&path, vec![("image", images(&files(0..20))), ("label", truths())], Compression::SNAPPY, None);
    let message = place.ingest("label", &path, &[]).failed(3);
    assert!(message.contains("--set ingest.labels.true=fake") || message.contains("--set ingest.labels.false=fake"));
    assert!(message.contains("20 of 20 images (100.0%) are unusable (20 no_label)"), "{message}");
    let path = place.path("data/fake/test.parquet");
    let message = place.ingest("missing", &path, &["label_column=lable"]).failed(3);
    assert!(message.contains("no column `lable`") && message.contains("found image, is_fake"), "{message}");
}

#[test]
fn names_missing_parts_of_a_table() {
    let place = Workplace::new();
    let words: StringArray = (0..4).map(|row| Some(["real", "fake"][row % 2])).collect();
    let columns = vec![("image", images(&files(0..4))), ("label", Arc::new(words) as ArrayRef)];
    write(&place.path("data/test-00001-of-00002.parquet"), columns, Compression::SNAPPY, None);
    let message = place.ingest("run", &place.path("data"), &[]).failed(3);
    assert!(message.contains("`test-00000-of-00002.parquet`"), "{message}");
    // A part that is named itself is read.
    place.ingest("part", &place.path("data/test-00001-of-00002.parquet"), &[]).done();
}
