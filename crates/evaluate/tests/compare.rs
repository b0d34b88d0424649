//! Tests of `candling-compare`: concurrent processes, and the output on the terminal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use artifacts::Split;
use artifacts::schema::Comparison;
use artifacts::shard::Shards;
use pipeline_tests::program;
use pipeline_tests::untrained::{Run, read, succeed};

/// Compares both training runs, and the first one again under another name: three pairs.
fn command(run: &Run, out: &Path) -> Command {
    let dir = run.run_dir();
    let second = format!("{}:1", dir.path().display());
    let mut command = program("candling-compare");
    command.arg(dir.path()).arg(second).arg(dir.evaluate()).arg("--out").arg(out);
    command
}

fn message(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn evaluated() -> (Run, PathBuf) {
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    let out = run.dir.path().join("comparisons/all");
    (run, out)
}

#[test]
fn refuses_concurrent_comparison_into_same_folder() {
    let (run, out) = evaluated();
    let start = |_| command(&run, &out).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..4).map(start).collect();
    let outputs: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert!(outputs.iter().any(|output| output.status.success()));
    for output in outputs.iter().filter(|output| !output.status.success()) {
        assert!(message(output).contains("another process is comparing into"), "{}", message(output));
    }
    assert_eq!(read::<Comparison>(&out.join(Comparison::FILE)).pairs.len(), 3);

    let lock = fs::File::open(out.with_file_name(".all.lock")).unwrap();
    lock.lock().unwrap();
    let refused = command(&run, &out).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(message(&refused).contains("--out"), "{}", message(&refused));
    drop(lock);
    succeed(&command(&run, &out).output().unwrap());
}

#[test]
fn prints_single_and_corrected_p_values() {
    let (run, out) = evaluated();
    let output = command(&run, &out).output().unwrap();
    succeed(&output);
    let comparison: Comparison = read(&out.join(Comparison::FILE));
    let text = message(&output);
    for pair in &comparison.pairs {
        let test = pair.accuracy;
        let expected = format!("McNemar exact p = {:.4} ({:.4} after Holm's correction)", test.p, test.p_holm);
        assert!(text.contains(&expected), "{expected}\n{text}");
        let test = pair.roc_auc.unwrap();
        if let Some((p, holm)) = test.p.zip(test.p_holm) {
            let expected = format!("DeLong p = {p:.4} ({holm:.4} after Holm's correction)");
            assert!(text.contains(&expected), "{expected}\n{text}");
        }
    }
    let areas = comparison.pairs[0].roc_auc.unwrap();
    assert!(areas.p_holm > areas.p, "the correction must show: {areas:?}");
}

#[test]
fn writes_thumbnails_of_images_with_different_verdicts_while_their_shards_exist() {
    let (run, out) = evaluated();
    succeed(&command(&run, &out).output().unwrap());
    let comparison: Comparison = read(&out.join(Comparison::FILE));
    let shown = &comparison.disagreements[..comparison.disagreements.len().min(24)];
    assert!(!shown.is_empty(), "the two untrained networks must disagree");
    let shards = Shards::open(&run.run_dir().ingest(), Split::Test).unwrap();
    for image in shown {
        let row = shards.samples().iter().position(|sample| sample.id == image.id).unwrap();
        let thumbnail = image::open(out.join(image.image.as_ref().unwrap())).unwrap().into_rgb8();
        assert_eq!(thumbnail.as_raw(), shards.pixels(row), "{}", image.path);
    }

    // Without the shards, the result is the same except for the thumbnails.
    fs::remove_dir_all(run.run_dir().ingest()).unwrap();
    succeed(&command(&run, &out).output().unwrap());
    let mut without: Comparison = read(&out.join(Comparison::FILE));
    assert!(without.disagreements.iter().all(|image| image.image.is_none()) && !out.join(Comparison::IMAGES).exists());
    for (image, before) in without.disagreements.iter_mut().zip(&comparison.disagreements) {
        image.image.clone_from(&before.image);
    }
    assert_eq!(without, comparison);
}
