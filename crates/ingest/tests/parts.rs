//! Ingest in parts: the merge equals an undivided ingest, and parts that do not fit together are refused by name.

use std::fs;
use std::path::Path;

use artifacts::{Manifest, names};

use crate::common::{Ingested, Workplace, picture};

/// A source with duplicates, conflicting labels, near-duplicates, damaged files, a file without a label and one that is
/// no image.
fn mixed_source(place: &Workplace) {
    place.add_splits(&["train", "test"], 12).add_near_duplicates();
    place.add("test/real/copy-of-train.jpg", &picture(0)).add("train/real/copy.jpg", &picture(2));
    place.add("train/real/both.jpg", &picture(500)).add("test/fake/both.jpg", &picture(500));
    place.add("train/fake/cut.jpg", &picture(501)[..200]).add("train/fake/empty.jpg", b"");
    place.add("train/unknown/a.jpg", &picture(502)).add("train/real/notes.txt", b"no image");
    // A JPEG without its end is used, with a warning.
    let whole = picture(503);
    place.add("train/real/no-end.jpg", &whole[..whole.len() - 2]);
}

fn part(place: &Workplace, run: &str, part: &str, set: &[&str]) -> Ingested {
    with_option(place, run, &["--part", part], set)
}

fn merge(place: &Workplace, run: &str, set: &[&str]) -> Ingested {
    with_option(place, run, &["--merge"], set)
}

fn with_option(place: &Workplace, run: &str, option: &[&str], set: &[&str]) -> Ingested {
    let set: Vec<String> = set.iter().map(|set| format!("ingest.{set}")).collect();
    let set = set.iter().flat_map(|set| ["--set", set]);
    let options: Vec<&str> = option.iter().copied().chain(set).collect();
    place.ingest_with_options(run, &place.path("data"), &options)
}

/// Ingests in `parts` parts and merges them.
fn in_parts(place: &Workplace, run: &str, parts: u32, set: &[&str]) -> Ingested {
    for number in (1..=parts).rev() {
        part(place, run, &format!("{number}/{parts}"), set).done();
    }
    merge(place, run, set).done()
}

#[test]
fn the_merge_of_parts_equals_an_undivided_ingest() {
    let place = Workplace::new();
    mixed_source(&place);
    let cases: [&[&str]; 6] = [
        &["shard_rows=50"],
        &["keep_files=true", "max_rejected=0.2"],
        &["drop_near_duplicates=true", "seed=3"],
        &["split=test", "strip=true", "reencode={ format = \"jpeg\", quality = 80 }"],
        &["limit=5", "audit=false", "max_rejected=0.2"],
        &["align={ splits = [\"test\", \"val\"] }", "keep_files=true", "max_rejected=0.2"],
    ];
    for (case, set) in cases.into_iter().enumerate() {
        let whole = place.ingest(&format!("whole-{case}"), &place.path("data"), set).done();
        let merged = in_parts(&place, &format!("parts-{case}"), 7, set);
        assert_eq!(merged.files().keys().collect::<Vec<_>>(), whole.files().keys().collect::<Vec<_>>(), "{set:?}");
        assert!(merged.files() == whole.files(), "{set:?}");
        let [merged, whole] = [merged, whole].map(|ingested| ingested.summary());
        assert_eq!((merged.seen, merged.splits, merged.content), (whole.seen, whole.splits, whole.content), "{set:?}");
    }
}

#[test]
fn near_duplicates_of_different_parts_stay_in_one_split() {
    let place = Workplace::new();
    // Without folders of splits, ingest makes them and assigns them again because of the pairs.
    for number in 0..60 {
        let class = ["real", "fake"][number as usize % 2];
        let save = |quality| {
            let image = crate::common::patches(number, 64, 64);
            pixels::encode::jpeg(&image, quality, pixels::encode::Subsampling::Full).unwrap()
        };
        place.add(&format!("{class}/a{number}.jpg"), &save(95)).add(&format!("{class}/b{number}.jpg"), &save(80));
    }
    let whole = place.ingest("whole", &place.path("data"), &[]).done();
    assert!(whole.message().contains("assigning the splits again"), "{}", whole.message());
    assert!(in_parts(&place, "parts", 2, &[]).files() == whole.files());
}

#[test]
fn cells_of_report_columns_are_those_of_an_undivided_ingest() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 4);
    let mut list = "path,label,split,camera\n".to_owned();
    for (split, class, i) in ["train", "test"].iter().flat_map(|split| (0..8).map(move |i| (split, i % 2, i / 2))) {
        let class = ["real", "fake"][class];
        let camera = ["Pixel 8", "", "EOS R5"][i % 3];
        list += &format!("data/{split}/{class}/{i}.jpg,{class},{split},{camera}\n");
    }
    let source = place.path("list.csv");
    fs::write(&source, list).unwrap();
    let set = ["--set", "ingest.report_columns=[\"camera\"]"];
    let run = |run: &str, options: &[&str]| place.ingest_with_options(run, &source, &[options, &set].concat()).done();
    let whole = run("whole", &[]);
    assert!(whole.samples(artifacts::Split::Test).iter().any(|sample| sample.columns["camera"] == "Pixel 8"));
    run("parts", &["--part", "1/3"]);
    run("parts", &["--part", "2/3"]);
    run("parts", &["--part", "3/3"]);
    assert!(run("parts", &["--merge"]).files() == whole.files());
}

#[test]
fn more_parts_than_files_and_a_killed_part() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 2);
    let whole = place.ingest("whole", &place.path("data"), &[]).done();
    assert!(in_parts(&place, "many", 20, &[]).files() == whole.files());

    for number in ["1/3", "2/3", "3/3"] {
        part(&place, "three", number, &[]).done();
    }
    // A killed part leaves a hidden folder.
    let parts = place.path("three").join(names::INGEST_PARTS);
    fs::rename(parts.join("2-of-3"), parts.join(".2-of-3.partial")).unwrap();
    fs::remove_file(parts.join(".2-of-3.partial").join(names::MANIFEST)).unwrap();
    let message = merge(&place, "three", &[]).failed(3);
    assert!(message.contains("1 of 3 parts are missing") && message.contains("--part 2/3"), "{message}");
    let message = part(&place, "three", "2/3", &[]).done().message();
    assert!(message.contains("part 2/3: 3 images") || message.contains("part 2/3: 2 images"), "{message}");
    assert!(part(&place, "three", "2/3", &[]).done().message().contains("part 2/3 is up to date"));
    assert!(merge(&place, "three", &[]).done().files() == whole.files());
    assert!(!parts.join(".2-of-3.partial").exists());
    // The parts are no longer needed.
    fs::remove_dir_all(&parts).unwrap();
    assert!(merge(&place, "three", &[]).done().message().contains("up to date"));
    // The result is the one that an undivided ingest would make.
    let again = place.ingest("three", &place.path("data"), &[]).done();
    assert!(again.message().contains("up to date"), "{}", again.message());
}

#[test]
fn parts_that_do_not_fit_are_refused_by_name() {
    let place = Workplace::new();
    place.add_splits(&["train", "test"], 3);
    let parts = place.path("run").join(names::INGEST_PARTS);
    let refused = |expected: &[&str], set: &[&str]| {
        let message = merge(&place, "run", set).failed(3);
        for expected in expected {
            assert!(message.contains(expected), "{expected:?} is not in: {message}");
        }
    };
    refused(&["there are no parts in", "--part I/N"], &[]);
    for number in ["1/2", "2/2"] {
        part(&place, "run", number, &[]).done();
    }
    // Another configuration, as in a run with another size.
    refused(&["1-of-2", "shard_rows"], &["shard_rows=9"]);
    assert!(!place.path("run").join(names::RUN_TOML).exists(), "a refused merge has recorded its settings");

    copy(&parts.join("1-of-2"), &parts.join("copy"));
    refused(&["copy", "it is part 1/2, as is", "1-of-2"], &[]);
    fs::remove_dir_all(parts.join("copy")).unwrap();

    part(&place, "run", "3/4", &[]).done();
    refused(&["3-of-4", "it is part 3/4", "part 1/2, of another division"], &[]);
    fs::remove_dir_all(parts.join("3-of-4")).unwrap();

    // Damage, of the length and of a byte.
    let list = parts.join("2-of-2/files.jsonl");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, &text[..text.len() - 5]).unwrap();
    refused(&["2-of-2", "files.jsonl"], &[]);
    fs::write(&list, text.replacen("train", "trial", 1).replacen("test", "text", 1)).unwrap();
    refused(&["files.jsonl", "BLAKE3"], &[]);

    // A list that fits its manifest but not the source.
    let shorter: String = text.lines().skip(1).flat_map(|line| [line, "\n"]).collect();
    fs::write(&list, shorter).unwrap();
    let folder = parts.join("2-of-2");
    let manifest = Manifest::read(&folder).unwrap().unwrap();
    let outputs = Manifest::of(&folder, &manifest.stage, manifest.code.clone()).unwrap().outputs;
    Manifest { outputs, ..manifest }.write(&folder).unwrap();
    refused(&["files.jsonl", "it does not fit the source"], &[]);
    with_option(&place, "run", &["--part", "2/2", "--force"], &[]).done();

    // A file of the source that was added later.
    place.add("train/real/new.jpg", &picture(77));
    refused(&["1-of-2", "source"], &[]);
}

#[test]
fn wrong_numbers_of_parts_are_errors_of_usage() {
    let place = Workplace::new();
    place.add_splits(&["train"], 1);
    let message = part(&place, "run", "3/2", &[]).failed(2);
    assert!(message.contains("there is no part 3 of 2"), "{message}");
    let message = with_option(&place, "run", &["--part", "1/2", "--merge"], &[]).failed(2);
    assert!(message.contains("--merge"), "{message}");
}

#[cfg(unix)]
#[test]
fn the_slurm_job_ingests_parts_and_merges_them() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    let place = Workplace::new();
    place.add_splits(&["train", "test"], 3);
    let data = place.path("data");
    let pipeline = place.path("large.toml");
    fs::write(&pipeline, format!("[ingest]\nsource = {data:?}\nsize = 16\n")).unwrap();
    // `candling ingest` is the program of the stage.
    let candling = place.path("candling");
    fs::write(&candling, format!("#!/bin/sh\nshift\nexec {:?} \"$@\"\n", env!("CARGO_BIN_EXE_candling-ingest")))
        .unwrap();
    fs::set_permissions(&candling, fs::Permissions::from_mode(0o755)).unwrap();
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/cluster/ingest.sbatch");
    let submit = |variables: &[(&str, &str)]| {
        let mut shell = Command::new("sh");
        shell.arg(&job).arg(place.path("run")).arg(&pipeline).arg("--set").arg("ingest.seed=4");
        shell.env("CANDLING", &candling).envs(variables.iter().copied());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for id in ["1", "2"] {
        submit(&[("SLURM_ARRAY_TASK_ID", id), ("SLURM_ARRAY_TASK_COUNT", "2"), ("SLURM_CPUS_PER_TASK", "1")]);
    }
    submit(&[]);
    let whole = place.ingest("whole", &data, &["seed=4"]).done();
    let shard = |run: &str| fs::read(place.path(run).join("ingest/test-00000-of-00001.parquet")).unwrap();
    assert!(shard("run") == shard("whole"), "{}", whole.message());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
