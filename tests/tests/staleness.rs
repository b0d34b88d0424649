//! Tests which changes make a finished stage stale, and what is announced before a training is replaced.

use std::fs;
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::{RunDir, names};
use pipeline_tests::{Sandbox, complete_manifest, json, output_of, program};
use serde_json::Value;

/// Changes the manifest of a folder.
fn edit_manifest(dir: &Path, edit: impl FnOnce(&mut Value)) {
    let path = dir.join(names::MANIFEST);
    let mut manifest = json(&path);
    edit(&mut manifest);
    fs::write(path, serde_json::to_string_pretty(&manifest).unwrap()).unwrap();
}

fn stage_folders(run: &RunDir) -> [std::path::PathBuf; 4] {
    [run.ingest(), run.train_run(0), run.evaluate(), run.report()]
}

#[test]
fn new_executable_and_new_keys_with_defaults_make_nothing_stale() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");
    sandbox.pipeline_into(&run, &["--set", "train.epochs=1"]).expect_code(0);

    // Edit the manifests as if another executable had written them. The report becomes stale, because its inputs are
    // the digests of the other manifests.
    for dir in stage_folders(&run) {
        edit_manifest(&dir, |manifest| {
            manifest["code"]["executable"] = Hash::of(b"another program").to_string().into()
        });
    }
    let plan = sandbox.pipeline_into(&run, &["--set", "train.epochs=1", "--dry-run"]).expect_code(0);
    for stage in ["ingest", "train", "evaluate"] {
        assert!(plan.stderr.contains(&format!("{stage:<9} would not run: up to date")), "{}", plan.stderr);
    }
    // Edit the manifests to what commit 7cae74c wrote, without keys that were added later.
    let as_in_7cae74c = |manifest: &mut serde_json::Value| {
        manifest["schema_version"] = 1.into();
        let code = manifest["code"].as_object_mut().unwrap();
        code.remove("program");
        code.insert("version".to_owned(), "0.1.0".into());
        for key in ["save_minutes", "augment", "strip", "robustness", "gallery"] {
            manifest["config"].as_object_mut().unwrap().remove(key);
        }
    };
    for dir in &stage_folders(&run)[1..] {
        edit_manifest(dir, as_in_7cae74c);
    }
    let plan = sandbox.pipeline_into(&run, &["--set", "train.epochs=1", "--dry-run"]).expect_code(0);
    for stage in ["ingest", "train", "evaluate"] {
        assert!(plan.stderr.contains(&format!("{stage:<9} would not run: up to date")), "{}", plan.stderr);
    }
    let reported = sandbox.pipeline_into(&run, &["--set", "train.epochs=1"]).expect_code(0);
    assert_eq!(reported.stderr.matches("up to date").count(), 3, "{}", reported.stderr);
    assert!(!reported.stderr.contains("set aside"), "{}", reported.stderr);
    let again = sandbox.pipeline_into(&run, &["--set", "train.epochs=1"]).expect_code(0);
    assert_eq!(again.stderr.matches("up to date").count(), 4, "{}", again.stderr);

    // Ingest of that commit had version 1 and decoded some JPEGs differently, so it runs again. It makes the same shards,
    // so nothing is trained again.
    edit_manifest(&run.ingest(), as_in_7cae74c);
    let ingested = sandbox.pipeline_into(&run, &["--set", "train.epochs=1"]).expect_code(0);
    assert!(ingested.stderr.contains("it was made by version 1 of the stage"), "{}", ingested.stderr);
    assert!(ingested.stderr.contains("train: up to date"), "{}", ingested.stderr);

    // The manifest of a later version of the stage, in today's form.
    edit_manifest(&run.evaluate(), |manifest| {
        manifest["code"]["version"] = 99.into();
        manifest["code"]["program"] = "9.0.0".into();
    });
    let newer = sandbox.pipeline_into(&run, &["--set", "train.epochs=1", "--dry-run"]).expect_code(0);
    assert!(newer.stderr.contains("evaluate  would run: it was made by version 99 of the stage"), "{}", newer.stderr);
}

#[test]
fn changed_seed_sets_training_aside_and_announces_it_first() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");
    sandbox.pipeline_into(&run, &["--until", "train", "--set", "train.epochs=1"]).expect_code(0);
    let former = complete_manifest(&run.train_run(0)).outputs;

    let changed = ["--until", "train", "--set", "train.epochs=1", "--set", "train.seed=5"];
    let announced =
        "will be set aside, when its successor is complete, because its configuration changed (seed: 0 -> 5)";
    let undo = format!("cargo xtask train --run-dir {} --set train.seed=0", run.path().display());
    let restore = format!("mv {0}/run-0 {0}/.run-0.aside-1 && mv {0}/.run-0.aside {0}/run-0", run.train().display());
    let dry = sandbox.pipeline_into(&run, &[&changed[..], &["--dry-run"]].concat()).expect_code(0).stderr;
    let single =
        output_of(program("candling-train").arg("--run-dir").arg(run.path()).args(["--plan", "--set", "train.seed=5"]));
    assert!(single.expect_code(0).stdout.contains(announced));
    assert!(!run.train().join(".run-0.next").exists() && !run.train().join(".run-0.aside").exists());

    let stderr = sandbox.pipeline_into(&run, &changed).expect_code(0).stderr;
    for text in [&dry, &stderr] {
        for part in [announced, "(1 epoch, ", &undo, &restore] {
            assert!(text.contains(part), "`{part}` is missing in {text}");
        }
    }
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("building")).collect();
    let line = |part: &str| lines.iter().position(|line| line.contains(part)).unwrap();
    assert!(line(announced) < line("ingest: up to date"), "{stderr}");
    let aside = run.train().join(".run-0.aside");
    assert_eq!(complete_manifest(&aside).outputs, former);

    // The announced commands restore the former training.
    for (from, to) in [("run-0", ".run-0.aside-1"), (".run-0.aside", "run-0")] {
        fs::rename(run.train().join(from), run.train().join(to)).unwrap();
    }
    let mut restored = program("candling-train");
    let restored = output_of(restored.arg("--run-dir").arg(run.path()).args(["--set", "train.seed=0"])).expect_code(0);
    assert!(restored.stderr.contains("up to date"), "{}", restored.stderr);
    assert_eq!(complete_manifest(&run.train_run(0)).outputs, former);
}

#[test]
fn announces_that_other_data_would_replace_the_training() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");
    sandbox.pipeline_into(&run, &["--until", "train", "--set", "train.epochs=1"]).expect_code(0);
    let plan = |rest: &[&str]| {
        let common = ["--until", "train", "--set", "train.epochs=1", "--dry-run"];
        sandbox.pipeline_into(&run, &[&common[..], rest].concat()).expect_code(0).stderr
    };
    assert!(!plan(&[]).contains("set aside"));
    let reseeded = plan(&["--set", "ingest.seed=9"]);
    assert!(reseeded.contains("if ingest gives other images than before, the finished training"), "{reseeded}");
    let extended = plan(&["--set", "train.epochs=2"]);
    assert!(!extended.contains("set aside") && extended.contains("epochs: 1 -> 2"), "{extended}");
}

#[test]
fn rejects_pipeline_on_run_of_other_data() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("mine");
    let mine = "simulated:train=48,test=24,size=32,seed=4";
    sandbox.pipeline_into(&run, &["--until", "ingest", "--data", mine]).expect_code(0);
    let written = fs::read_to_string(run.config()).unwrap();

    for rest in [&[][..], &["--dry-run"]] {
        let refused = sandbox.pipeline_into(&run, rest).expect_code(2).stderr;
        for source in [mine, "simulated:train=48,test=24,size=32,seed=3"] {
            let command = format!("--run-dir {} --data {source}", run.path().display());
            assert!(refused.contains(&command), "{refused}");
        }
    }
    assert_eq!(fs::read_to_string(run.config()).unwrap(), written);
    let kept = sandbox.pipeline_into(&run, &["--until", "ingest", "--data", mine]).expect_code(0);
    assert!(kept.stderr.contains("ingest: up to date"), "{}", kept.stderr);
}
