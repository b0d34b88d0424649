//! The program on folders, zip archives, CSV lists, simulated sets and cached Kaggle data sets.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use artifacts::{Label, Split};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::common::{Workplace, expected_pixels, picture};

#[test]
fn ingests_a_folder() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 20).add("train/fake/gan/1.jpg", &picture(7777)).add("notes.txt", b"hello");
    let ingested = place.ingest("run", &place.path("data"), &[]).done();

    let summary = ingested.summary();
    assert_eq!((summary.seen, summary.rejected, summary.simulated), (81, 0, false));
    let count = |split: Split| summary.splits[&split].labels.values().sum::<u64>();
    // A tenth of the single image of the generator `gan` rounds to 0.
    assert_eq!((count(Split::Train), count(Split::Val), count(Split::Test)), (37, 4, 40));

    let shards = ingested.shards(Split::Test);
    let i = (0..shards.len()).find(|&i| shards.sample(i).path == "test/fake/3.jpg").unwrap();
    let file = picture(1007);
    assert_eq!(shards.pixels(i), expected_pixels(&file));
    let sample = shards.sample(i);
    assert_eq!((sample.label, sample.split, sample.format.as_str()), (Label::Fake, Split::Test, "jpeg"));
    assert_eq!((sample.width, sample.height), (40 + 1007 % 9, 30 + 1007 % 7));
    assert_eq!((sample.id, sample.file_bytes), (artifacts::hash::Hash::of(&file), file.len() as u64));
    let all = [Split::Train, Split::Val].map(|split| ingested.samples(split)).concat();
    let gan = all.iter().find(|sample| sample.path == "train/fake/gan/1.jpg").unwrap();
    assert_eq!(gan.generator, "gan");
}

#[test]
fn rehash_finds_a_file_that_changed_in_place() {
    let place = Workplace::new();
    place.add_splits(&["train"], 20);
    let data = place.path("data");
    place.ingest("run", &data, &[]).done();
    let rehash = || place.ingest_with_options("run", &data, &["--rehash"]).done().message();
    assert!(rehash().contains("all files have the content that was ingested"));

    let file = place.path("data/train/real/0.jpg");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    assert!(place.ingest("run", &data, &[]).done().message().contains("up to date"));
    let message = rehash();
    assert!(message.contains("another content") && message.contains("running"), "{message}");
    assert!(rehash().contains("all files have the content that was ingested"));
}

#[test]
fn reads_a_zip_in_place_and_extracts_nothing() {
    let place = Workplace::new();
    let path = place.path("set.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut add = |name: &str, options, bytes: &[u8]| {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    add("set/test/real/1.jpg", stored, &picture(1));
    add("set/test/fake/2.jpg", deflated, &picture(2));
    add("../../../climbing/test/fake/3.jpg", deflated, &picture(3));
    add("/absolute/test/real/4.jpg", stored, &picture(4));
    add("set\\test\\fake\\5.jpg", stored, &picture(5));
    add("set/readme.md", deflated, b"no image");
    add("__MACOSX/set/test/real/._1.jpg", stored, b"a fork");
    // A small file that unpacks to more bytes than any image may have.
    add("set/test/fake/bomb.jpg", deflated, &vec![0; 10 << 20]);
    zip.finish().unwrap();

    let set = ["max_pixels=1000000", "max_rejected=0.5"];
    let ingested = place.ingest("run", &path, &set).done();
    assert_eq!(
        ingested.paths(Split::Test),
        [
            "../../../climbing/test/fake/3.jpg",
            "/absolute/test/real/4.jpg",
            "set/test/fake/2.jpg",
            "set/test/fake/5.jpg",
            "set/test/real/1.jpg"
        ]
    );
    assert_eq!(ingested.reasons()["set/test/fake/bomb.jpg"], "too_large");
    assert_eq!(ingested.shards(Split::Test).pixels(2), expected_pixels(&picture(2)));
    // Nothing was extracted.
    let left: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn error_of_an_unknown_split_names_the_setting() {
    let place = Workplace::new();
    place.add("list.csv", b"path,label,split\n0.jpg,real,holdout\n");
    let message = place.ingest("run", &place.path("data/list.csv"), &[]).failed(3);
    assert!(message.contains("line 2: unknown split `holdout`") && message.contains("[ingest.splits]"), "{message}");
}

#[test]
fn reads_images_without_an_ending_and_lists_all_other_files() {
    let place = Workplace::new();
    place.add("test/real/1.jpg", &picture(1)).add("test/fake/2", &picture(2)).add("test/fake/3.bin", &picture(3));
    place.add("test/fake/notes.txt", b"hello").add("test/real/empty.dat", b"").add("test/real/.hidden", b"x");
    place.add("test/real/4.download", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    let ingested = place.ingest("run", &place.path("data"), &["max_rejected=0.4"]).done();
    assert_eq!(ingested.paths(Split::Test), ["test/fake/2", "test/fake/3.bin", "test/real/1.jpg"]);
    assert_eq!(ingested.reasons()["test/real/4.download"], "unsupported");
    let files = ingested.files();
    let others = std::str::from_utf8(&files["other-files.jsonl"]).unwrap();
    let rows: Vec<artifacts::schema::Rejected> =
        others.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.reason.as_str())).collect();
    assert_eq!(rows, [("test/fake/notes.txt", "not_an_image"), ("test/real/empty.dat", "empty")]);
    let message = ingested.message();
    assert!(message.contains("2 other files are not used: 1 empty, 1 not_an_image"), "{message}");
}

#[test]
fn names_every_entry_of_a_zip_that_has_another_one_of_its_name() {
    let place = Workplace::new();
    place.add("placeholder", b"");
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, number) in [("test/real/1.jpg", 1), ("test/fake/x.jpg", 2), ("test/fake/y.jpg", 3)] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(&picture(number)).unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    // Give the last two entries the same name, which the writer does not allow.
    while let Some(at) = bytes.windows(15).position(|name| name == b"test/fake/y.jpg") {
        bytes[at + 10] = b'x';
    }
    fs::write(place.path("set.zip"), &bytes).unwrap();
    let ingested = place.ingest("run", &place.path("set.zip"), &[]).done();
    assert_eq!(ingested.paths(Split::Test), ["test/fake/x.jpg", "test/real/1.jpg"]);
    let files = ingested.files();
    let others = std::str::from_utf8(&files["other-files.jsonl"]).unwrap();
    assert_eq!(others.lines().count(), 1);
    for part in ["test/fake/x.jpg", "duplicate_name", "2 entries of this name"] {
        assert!(others.contains(part), "{others}");
    }
}

#[test]
fn rejects_a_pipe_without_waiting_for_it() {
    let place = Workplace::new();
    place.add_splits(&["test"], 2);
    if !testing::make_fifos(&[&place.path("data/test/real/pipe.jpg")]) {
        return;
    }
    let ingested = place.ingest("run", &place.path("data"), &["max_rejected=0.5"]).done();
    assert_eq!(ingested.reasons()["test/real/pipe.jpg"], "unreadable");
}

#[test]
fn reads_paths_labels_splits_and_generators_from_a_csv() {
    let place = Workplace::new();
    for number in 0..4 {
        place.add(&format!("{number}.jpg"), &picture(number));
    }
    let list = place.path("data/list.csv");
    let absolute = place.path("data/3.jpg");
    let text = format!(
        "label,path,generator,split\nreal,0.jpg,,test\n1,1.jpg,sdxl,test\nFAKE,missing.jpg,,test\ncustom,{},,test\n",
        absolute.display()
    );
    fs::write(&list, text).unwrap();
    let ingested = place.ingest("run", &list, &["max_rejected=0.3", "labels.custom=fake"]).done();
    let mut rows: Vec<_> = ingested.samples(Split::Test).into_iter().map(|s| (s.label, s.generator)).collect();
    rows.sort();
    let row = |label, generator: &str| (label, generator.to_owned());
    assert_eq!(rows, [row(Label::Real, ""), row(Label::Fake, ""), row(Label::Fake, "sdxl")]);
    assert_eq!(ingested.reasons()["missing.jpg"], "unreadable");
}

#[test]
fn error_names_the_line_of_an_invalid_csv() {
    let place = Workplace::new();
    place.add("list.csv", b"path,label\n0.jpg,real\n1.jpg,perhaps\n");
    let message = place.ingest("run", &place.path("data/list.csv"), &[]).failed(3);
    assert!(message.contains("line 3") && message.contains("`perhaps`"), "{message}");
    assert!(message.contains("map it with --set ingest.labels.perhaps=real"), "{message}");
    place.add("list.csv", b"file,label\n0.jpg,real\n");
    let message = place.ingest("run", &place.path("data/list.csv"), &[]).failed(3);
    assert!(message.contains("path,label"), "{message}");
    place.add("list.csv", b"path,label,\x1b[2Jcolour\n0.jpg,real,red\n");
    let message = place.ingest("run", &place.path("data/list.csv"), &[]).failed(3);
    assert!(message.contains("not used: \u{fffd}[2Jcolour") && !message.contains('\x1b'), "{message:?}");
}

#[test]
fn ingests_a_simulated_set() {
    let place = Workplace::new();
    let source = Path::new("simulated:train=20,test=8,size=16,seed=3");
    let ingested = place.ingest("run", source, &[]).done();
    let summary = ingested.summary();
    assert!(summary.simulated);
    let labels = |split: Split| summary.splits[&split].labels.clone();
    assert_eq!(labels(Split::Test).into_values().collect::<Vec<_>>(), [4, 4]);
    assert_eq!(summary.splits.values().flat_map(|split| split.labels.values()).sum::<u64>(), 28);
    let message = place.ingest("other", Path::new("simulated:size=17"), &[]).failed(2);
    assert!(message.contains("17"), "{message}");
}

#[test]
fn ingests_a_cached_kaggle_data_set_offline() {
    let place = Workplace::new();
    place.add("datasets/owner/set/versions/3/test/real/1.jpg", &picture(1));
    place.add("datasets/owner/set/versions/3/test/fake/2.jpg", &picture(2)).add("datasets/owner/set/3.complete", b"");
    let ingested = place.ingest("run", Path::new("kaggle:owner/set"), &[]).done();
    assert_eq!(ingested.paths(Split::Test), ["test/fake/2.jpg", "test/real/1.jpg"]);
    let message = place.ingest("other", Path::new("kaggle:owner"), &[]).failed(2);
    assert!(message.contains("kaggle:owner/slug"), "{message}");
}

#[test]
fn errors_of_unusable_sources_give_advice() {
    let place = Workplace::new();
    let message = place.ingest("run", &place.path("nothing"), &[]).failed(3);
    assert!(message.contains("there is no") && message.contains("kaggle:owner/slug"), "{message}");
    place.add("notes.txt", b"hello");
    let message = place.ingest("run", &place.path("data"), &[]).failed(3);
    assert!(message.contains("no images"), "{message}");
    place.add("cats/1.jpg", &picture(1)).add("dogs/2.jpg", &picture(2));
    let message = place.ingest("run", &place.path("data"), &[]).failed(3);
    assert!(message.contains("cats, dogs") && message.contains("ingest.labels."), "{message}");
    let message = place.ingest("run", &place.path("data"), &["val_fraction=1.5"]).failed(2);
    assert!(message.contains("ingest.val_fraction must be at least 0 and less than 1, but is 1.5"), "{message}");
    place.ingest("run", &place.path("data"), &["labels.cats=real", "labels.dogs=fake"]).done();
}
