//! Each protocol of tables in `benchmarks/` on tiny tables with the columns of the data set.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int64Array, Int64Builder, ListBuilder, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field};
use artifacts::{Label, Split};
use judge::benchmark::{self, GeneratorCounts, Listing};
use parquet::arrow::ArrowWriter;
use sources::SourceConfig;

use Label::{Fake, Real};

use crate::benchmarks::protocol;
use crate::support::Scene;

/// The protocols that are tested here.
pub(crate) const NAMES: [&str; 2] = ["community-forensics", "openfake"];

/// The class and the generator in each row of a table.
type Rows<'a> = &'a [(Label, &'a str)];

fn text(cells: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(cells.map(Some).collect::<StringArray>())
}

/// The files of the rows of a table: different bytes, which are no images.
fn files(table: &Path, rows: Rows) -> ArrayRef {
    let name = table.file_name().unwrap().to_string_lossy().into_owned();
    let files: Vec<String> = (0..rows.len()).map(|row| format!("{name} {row}")).collect();
    Arc::new(files.iter().map(|file| Some(file.as_bytes())).collect::<BinaryArray>())
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Writes a table with the columns of Community Forensics. All its images have the same name.
fn write_community_forensics(path: &Path, rows: Rows) {
    let same = |cell: &str| text(rows.iter().map(|_| cell.to_owned()));
    let mut resolution = ListBuilder::new(Int64Builder::new());
    rows.iter().for_each(|_| resolution.append_value([Some(512), Some(512)]));
    let resolution: ArrayRef = Arc::new(resolution.finish());
    let labels: ArrayRef = Arc::new(rows.iter().map(|row| Some(i64::from(row.0 == Fake))).collect::<Int64Array>());
    write(
        path,
        vec![
            ("image_name", same("00000274.png")),
            ("format", same("PNG")),
            ("resolution", resolution),
            ("mode", same("RGB")),
            ("image_data", files(path, rows)),
            ("model_name", text(rows.iter().map(|row| row.1.to_owned()))),
            ("nsfw_flag", same("false")),
            ("prompt", same("a cat")),
            ("real_source", same("RAISE")),
            ("subset", same("Manual")),
            ("split", same("test")),
            ("label", labels),
            ("architecture", same("GAN")),
        ],
    );
}

/// Writes a table with the columns of OpenFake.
fn write_openfake(path: &Path, rows: Rows) {
    let same = |cell: &str| text(rows.iter().map(|_| cell.to_owned()));
    let field = |name: &str, kind| Arc::new(Field::new(name, kind, true));
    let image: ArrayRef = Arc::new(StructArray::from(vec![
        (field("bytes", DataType::Binary), files(path, rows)),
        (field("path", DataType::Utf8), text((0..rows.len()).map(|row| format!("{row}.jpg")))),
    ]));
    write(
        path,
        vec![
            ("image", image),
            ("prompt", same("a cat")),
            ("label", text(rows.iter().map(|row| row.0.to_string()))),
            ("model", text(rows.iter().map(|row| row.1.to_owned()))),
            ("type", same("image")),
            ("release_date", same("2025-01-01")),
        ],
    );
}

/// The path, the class, the split and the generators of each listed image.
fn listed(listing: &Listing) -> Vec<(&str, Label, Split, String)> {
    let images = listing.images.iter();
    images.map(|image| (image.path.as_str(), image.label, image.split, image.generators.join(";"))).collect()
}

#[test]
fn community_forensics_pairs_real_images_with_their_generator() {
    let root = tempfile::tempdir().unwrap();
    let table = |number: usize| root.path().join(format!("data/CompEval-{number:05}-of-00002.parquet"));
    write_community_forensics(&table(0), &[(Real, "DFGAN"), (Fake, "DFGAN")]);
    // The case of a name does not matter. The last name is none of the benchmark.
    write_community_forensics(&table(1), &[(Fake, "dalle2"), (Real, "Dalle2"), (Fake, "NewModel")]);
    let listing = benchmark::list(&protocol("community-forensics"), root.path()).unwrap();
    let expected = [
        ("data/CompEval-00000-of-00002.parquet/0", Real, "DFGAN"),
        ("data/CompEval-00000-of-00002.parquet/1", Fake, "DFGAN"),
        ("data/CompEval-00001-of-00002.parquet/0", Fake, "Dalle2"),
        ("data/CompEval-00001-of-00002.parquet/1", Real, "Dalle2"),
    ];
    assert_eq!(listed(&listing), expected.map(|(path, label, name)| (path, label, Split::Test, name.to_owned())));
    assert_eq!(listing.unknown.first, ["data/CompEval-00001-of-00002.parquet/2"]);
    assert_eq!(listing.counts["DFGAN"], GeneratorCounts { real: 1, fake: 1 });
    let has = |text: &str| listing.lacking.iter().any(|lacking| lacking == text);
    assert!(has("`data/CompEval-*.parquet` has 5 rows, but the benchmark has 51836"), "{:?}", listing.lacking);
    assert!(has("`Hourglass` has 0 fakes, but the benchmark has 2000"));
}

#[test]
fn the_generators_of_community_forensics_add_up_to_its_rows() {
    let protocol = protocol("community-forensics");
    let sum: u64 = protocol.generators.values().map(|expected| expected.real.unwrap() + expected.fake.unwrap()).sum();
    assert_eq!((protocol.generators.len(), Some(sum)), (21, protocol.tables[0].rows));
}

#[test]
fn openfake_compares_every_generator_with_all_real_images() {
    let root = tempfile::tempdir().unwrap();
    let table = |name: &str| root.path().join(name);
    write_openfake(&table("core/test-00000-of-00013.parquet"), &[(Real, "docci"), (Fake, "sora-2"), (Fake, "veo-3")]);
    write_openfake(&table("core/validation-00000-of-00002.parquet"), &[(Fake, "sdxl"), (Real, "laion")]);
    write_openfake(&table("core/train-00000-of-00600.parquet"), &[(Fake, "sdxl"), (Real, "pexels")]);
    // Another test set, which is left out.
    write_openfake(&table("reddit/test-00000-of-00005.parquet"), &[(Fake, "reddit"), (Real, "reddit")]);
    let listing = benchmark::list(&protocol("openfake"), root.path()).unwrap();
    let expected = [
        ("core/test-00000-of-00013.parquet/0", Real, Split::Test, ""),
        ("core/test-00000-of-00013.parquet/1", Fake, Split::Test, "sora-2"),
        ("core/test-00000-of-00013.parquet/2", Fake, Split::Test, "veo-3"),
        ("core/train-00000-of-00600.parquet/0", Fake, Split::Train, "sdxl"),
        ("core/train-00000-of-00600.parquet/1", Real, Split::Train, ""),
        ("core/validation-00000-of-00002.parquet/0", Fake, Split::Val, "sdxl"),
        ("core/validation-00000-of-00002.parquet/1", Real, Split::Val, ""),
    ];
    assert_eq!(listed(&listing), expected.map(|(path, label, split, name)| (path, label, split, name.to_owned())));
    let counts = GeneratorCounts { real: 1, fake: 1 };
    assert_eq!(listing.counts, BTreeMap::from([("sora-2".to_owned(), counts), ("veo-3".to_owned(), counts)]));
    assert_eq!(listing.lacking, ["`core/test-*.parquet` has 3 rows, but the benchmark has 91398"]);
}

#[test]
fn a_table_without_the_columns_of_the_protocol_is_named() {
    let root = tempfile::tempdir().unwrap();
    write_community_forensics(&root.path().join("core/test-0.parquet"), &[(Real, "DFGAN"), (Fake, "DFGAN")]);
    let error = benchmark::list(&protocol("openfake"), root.path()).unwrap_err().to_string();
    assert!(error.contains("model"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = benchmark::list(&protocol("openfake"), empty.path()).unwrap_err().to_string();
    assert!(error.contains("no test images of both classes of OpenFake") && error.contains("core/test-*"), "{error}");
}

#[test]
fn predictions_are_judged_on_rows_of_tables() {
    let scene = Scene::new();
    let root = scene.path("set");
    // The detector finds Dalle2, and takes the real images of DFGAN for fakes.
    let rows: Vec<(Label, &str)> =
        (0..40).map(|i| (if i % 2 == 0 { Real } else { Fake }, if i < 20 { "DFGAN" } else { "Dalle2" })).collect();
    write_community_forensics(&root.join("data/CompEval-00000-of-00001.parquet"), &rows);
    let score = |(label, name): (Label, &str)| match (label, name) {
        (Fake, _) => 0.6,
        (Real, "DFGAN") => 0.9,
        (Real, _) => 0.1,
    };
    let scores = rows.iter().enumerate();
    let scores: Vec<String> =
        scores.map(|(i, row)| format!("CompEval-00000-of-00001.parquet/{i},{}", score(*row))).collect();
    let file = scene.csv("scores.csv", "path,score", &scores);
    let listing = benchmark::list(&protocol("community-forensics"), &root).unwrap();
    let list = scene.path("images.csv");
    benchmark::write(&listing, &root, &list, false).unwrap();
    let data = list.to_string_lossy().into_owned();
    let source = sources::open(&SourceConfig { source: data.clone().into(), ..SourceConfig::default() }).unwrap();
    assert!(source.entry(1).path.ends_with("-of-00001.parquet/1"), "{}", source.entry(1).path);
    assert_eq!(source.read(1).unwrap(), b"CompEval-00000-of-00001.parquet 1");
    let runs = scene.judge(&[file], |request| {
        request.config.data = Some(data);
        request.config.own_reals = true;
    });
    let groups = runs.unwrap().remove(0).metrics.runs.remove(0).generators.groups;
    let areas: Vec<(String, u64, f64)> =
        groups.into_iter().map(|group| (group.name, group.reals, group.scores.roc_auc.unwrap())).collect();
    assert_eq!(areas, [("DFGAN".to_owned(), 10, 0.0), ("Dalle2".to_owned(), 10, 1.0)]);
}
