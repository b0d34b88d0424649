//! Whole pipelines through `cargo xtask`, from a source of images to the report.

use std::fs;
use std::process::Command;

use artifacts::{config, names, stage};
use pipeline_tests::{Sandbox, complete_manifest, json, output_of, program};
use serde_json::Value;

#[test]
fn pipeline_makes_all_artifacts_once() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");

    let dry = sandbox.pipeline_into(&run, &["--dry-run"]).expect_code(0);
    assert_eq!(dry.stderr.matches("would run").count(), 4, "{}", dry.stderr);
    assert!(!run.path().exists(), "a dry run writes nothing");

    let stderr = sandbox.pipeline_into(&run, &[]).expect_code(0).stderr;
    assert!(stderr.contains(", on simulated images\n") && stderr.contains("report: "), "{stderr}");
    for dir in [run.ingest(), run.train_run(0), run.evaluate(), run.report()] {
        complete_manifest(&dir);
    }
    let contract = [
        run.config(),
        run.ingest().join(names::REJECTED),
        run.ingest().join("train-00000-of-00001.parquet"),
        run.ingest().join("val-00000-of-00001.parquet"),
        run.ingest().join("test-00000-of-00001.parquet"),
        run.train_run(0).join("best").join(names::WEIGHTS),
        run.train_run(0).join("last").join(names::TRAINING_STATE),
        run.train_run(0).join("best").join(names::MODEL_CONFIG),
        run.train_run(0).join("best").join(names::PREPROCESSOR_CONFIG),
        run.train_run(0).join(names::HISTORY),
        run.evaluate().join(names::PREDICTIONS),
        run.evaluate().join(names::METRICS),
        run.evaluate().join(names::EXPLANATIONS),
        run.report().join("index.html"),
        run.report().join("figures"),
        run.report().join("README.md"),
    ];
    for path in contract {
        assert!(path.exists(), "`{}` is missing", path.display());
    }

    let dry = sandbox.pipeline_into(&run, &["--dry-run"]).expect_code(0);
    assert_eq!(dry.stderr.matches("would not run: up to date").count(), 4, "{}", dry.stderr);
    let again = sandbox.pipeline_into(&run, &["--json"]).expect_code(0);
    assert_eq!(again.stderr.matches("up to date").count(), 4, "{}", again.stderr);
    let results: Vec<Value> = serde_json::from_str(&again.stdout).unwrap();
    let stages: Vec<&str> = results.iter().filter_map(|result| result["stage"].as_str()).collect();
    assert_eq!(stages, names::STAGES);
    assert!(results[2]["summary"]["roc_auc"].is_number(), "{}", results[2]);
    let evaluate =
        output_of(program("candling-evaluate").arg("--run-dir").arg(run.path()).arg("--json")).expect_code(0);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&evaluate.stdout).unwrap()[0]["summary"], results[2]["summary"]);
    let table = ["--run-dir", &run.path().to_string_lossy(), "--table", "markdown"].map(str::to_owned);
    let table = output_of(program("candling-evaluate").args(table)).expect_code(0).stdout;
    assert!(table.contains("| Detector | ROC-AUC |") && table.contains("| first | "), "{table}");

    let changed = sandbox.pipeline_into(&run, &["--dry-run", "--set", "train.epochs=3"]).expect_code(0);
    assert!(changed.stderr.contains("ingest    would not run"), "{}", changed.stderr);
    assert!(changed.stderr.contains("epochs: 2 -> 3"), "{}", changed.stderr);
    assert!(changed.stderr.contains("run-0 continues: 2 of 3 epochs are done"), "{}", changed.stderr);
    assert_eq!(changed.stderr.matches("would run").count(), 3, "{}", changed.stderr);
}

#[test]
fn run_that_cannot_be_written_to_is_up_to_date_and_can_be_shown() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");
    sandbox.pipeline_into(&run, &[]).expect_code(0);
    // A folder in place of a lock file cannot be opened for writing, as on a read-only disk.
    for work in ["pipeline", "ingest", "train", "evaluate", "report"] {
        let lock = run.path().join(format!(".{work}.lock"));
        let _ = fs::remove_file(&lock);
        fs::create_dir(&lock).unwrap();
    }
    let again = sandbox.pipeline_into(&run, &[]).expect_code(0);
    assert_eq!(again.stderr.matches("up to date").count(), 4, "{}", again.stderr);
    for stage in names::STAGES {
        let stderr = output_of(&mut sandbox.stage(stage, &run)).expect_code(0).stderr;
        assert!(stderr.contains("up to date"), "{stage}: {stderr}");
    }
    let shown = output_of(program("xtask").args(["runs", "show"]).arg(run.path())).expect_code(0);
    assert!(shown.stdout.contains("ROC-AUC"), "{}", shown.stdout);
}

#[test]
fn pipeline_keeps_settings_of_locked_run_and_omitted_stages() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");
    sandbox.pipeline_into(&run, &["--until", "ingest", "--set", "ingest.seed=5"]).expect_code(0);
    let written = fs::read_to_string(run.config()).unwrap();

    let other = stage::lock(&run, "pipeline").unwrap();
    let refused = sandbox.pipeline_into(&run, &[]).expect_code(1);
    assert!(refused.stderr.contains("another process is running pipeline"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(run.config()).unwrap(), written);
    drop(other);

    let trained = ["--from", "train", "--until", "train", "--set", "train.epochs=1"];
    let stderr = sandbox.pipeline_into(&run, &trained).expect_code(0).stderr;
    assert!(!stderr.contains(", on simulated images\n") && !stderr.contains("report:"), "{stderr}");
    let settings = config::read(&run.config()).unwrap();
    assert_eq!((settings["ingest"]["seed"].as_integer(), settings["train"]["epochs"].as_integer()), (Some(5), Some(1)));
    let again = output_of(program("xtask").arg("ingest").arg("--run-dir").arg(run.path())).expect_code(0);
    assert!(again.stderr.contains("up to date"), "{}", again.stderr);
}

#[test]
fn evaluate_reruns_alone_and_keeps_other_evaluations() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");
    sandbox.pipeline_into(&run, &[]).expect_code(0);
    let evaluate = |rest: &[&str]| {
        output_of(program("xtask").arg("evaluate").arg("--run-dir").arg(run.path()).args(rest)).expect_code(0)
    };

    evaluate(&["--ckpt", "last"]);
    let last = json(&run.evaluate().join(names::METRICS));
    assert_eq!(last["checkpoint"], "last");
    evaluate(&["--ckpt", "best", "--split", "val"]);
    assert_eq!(json(&run.evaluate().join(names::METRICS))["split"], "val");
    let again = evaluate(&[]);
    assert!(again.stderr.contains("up to date"), "run.toml has the settings of the last evaluation: {}", again.stderr);
    evaluate(&["--split", "test"]);
    let test = json(&run.evaluate().join(names::METRICS));
    assert_eq!((&test["split"], &test["checkpoint"]), (&"test".into(), &"best".into()));

    evaluate(&["--data", "simulated:train=0,test=10,size=32,seed=9"]);
    evaluate(&["--data", "simulated:train=0,test=10,size=32,seed=8"]);
    let others = run.named_evaluations().unwrap();
    assert_eq!(others.len(), 2, "{others:?}");
    let name = "evaluate-simulated-train-0-test-10-size-32-seed-9-";
    let other_data = others.into_iter().find(|dir| dir.to_string_lossy().contains(name)).unwrap();
    complete_manifest(&other_data);
    let metrics = json(&other_data.join(names::METRICS));
    assert_eq!((&metrics["n"], &metrics["seen"]["training"]), (&10.into(), &0.into()));
    assert_eq!(json(&run.evaluate().join(names::METRICS)), test, "the run's own evaluation is untouched");

    evaluate(&["--ckpt", "last", "--name", "last"]);
    assert_eq!(json(&run.stage("evaluate-last").join(names::METRICS))["checkpoint"], "last");
    let own = run.ingest().to_string_lossy().into_owned();
    evaluate(&["--data", &own, "--split", "train", "--name", "trained-on"]);
    let trained = json(&run.stage("evaluate-trained-on").join(names::METRICS));
    assert_eq!(trained["seen"]["training"], trained["n"]);
    assert_eq!(json(&run.evaluate().join(names::METRICS)), test);
}

#[test]
fn evaluate_rejects_shards_with_other_preprocessing() {
    let sandbox = Sandbox::new();
    let (run, other) = (sandbox.run("first"), sandbox.run("other"));
    sandbox.pipeline_into(&run, &["--until", "train"]).expect_code(0);
    output_of(sandbox.stage("ingest", &other).args(["--set", "ingest.filter=nearest"])).expect_code(0);
    let shards = other.ingest().to_string_lossy().into_owned();
    let refused = output_of(sandbox.stage("evaluate", &run).args(["--data", &shards])).expect_code(3);
    assert!(refused.stderr.contains("ingest.filter") && refused.stderr.contains("nearest"), "{}", refused.stderr);
}

#[test]
fn included_pipeline_files_are_valid() {
    let sandbox = Sandbox::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("pipelines");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The schema for editors is beside the pipelines.
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let run = sandbox.run("planned");
        let mut plan = program("xtask");
        // Replace the sources with ones that need no network. The dry run checks all keys and values.
        plan.arg("pipeline").arg(&file).args(["--dry-run", "--data", "simulated:train=8,test=4,size=32,seed=1"]);
        plan.args(["--weights", "none", "--run-dir"]).arg(run.path());
        // The weights of a vision transformer cannot be downloaded.
        plan.env("HF_HUB_OFFLINE", "1").env("HF_HOME", sandbox.path());
        let needs_weights = fs::read_to_string(&file).unwrap().contains("\"vit\"");
        let plan = output_of(&mut plan).expect_code(if needs_weights { 3 } else { 0 });
        let would_run = plan.stderr.matches("would run").count();
        assert_eq!(would_run, if needs_weights { 3 } else { 4 }, "{}: {}", file.display(), plan.stderr);
        assert_eq!(needs_weights, plan.stderr.contains("train     cannot run: `hf:"), "{}", plan.stderr);
    }
}

#[test]
fn rejects_invalid_configuration_before_running() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");
    let typo = sandbox.pipeline_into(&run, &["--set", "evaluate.exmaples=3"]).expect_code(2);
    assert!(typo.stderr.contains("evaluate.exmaples") && typo.stderr.contains("evaluate.examples"), "{}", typo.stderr);
    let absent = sandbox.path().join("absent").to_string_lossy().into_owned();
    let file = sandbox.pipeline().to_string_lossy().into_owned();
    let refused = sandbox.run("refused");
    for (set, code, message) in [
        ("evaluate.layer=layer5", 2, "evaluate.layer: unknown layer `layer5`"),
        ("evaluate.ckpt=lsat", 3, "evaluate.ckpt must be best, last or the folder of a checkpoint, but is lsat"),
        (&format!("evaluate.data={absent}"), 3, &format!("evaluate.data must be a folder of shards, but is {absent}")),
        (&format!("train.weights={file}"), 3, &format!("train.weights: {file} cannot be read as safetensors")),
        (&format!("train.weights={absent}"), 3, &absent),
        ("train.weights=hf:no-owner", 2, "`hf:no-owner` is not a file on the hub"),
        ("train.optimizer=sgd", 2, "valid keys are train.weights, train."),
        ("ingest.size=31", 2, "the network halves an image five times, but is 31"),
        ("ingest.val_fraction=0", 2, "ingest.val_fraction takes none of the training images for it"),
    ] {
        let stderr = sandbox.pipeline_into(&refused, &["--set", set]).expect_code(code).stderr;
        assert!(stderr.contains(message), "{set}: {stderr}");
        assert_eq!(stderr.matches("error: ").count(), 1, "one failure is one message: {stderr}");
        assert!(!refused.path().exists(), "{set} left `{}`", refused.path().display());
    }
    let nowhere = sandbox.pipeline_into(&refused, &["--data", "no/such/folder"]).expect_code(3);
    assert!(nowhere.stderr.contains("ingest: ") && nowhere.stderr.contains("no/such/folder"), "{}", nowhere.stderr);
    let left_out = sandbox.pipeline_into(&refused, &["--from", "train", "--data", "photos"]).expect_code(2);
    assert!(left_out.stderr.contains("`--data` is for ingest"), "{}", left_out.stderr);
    let mistyped = sandbox.pipeline_into(&refused, &["--from", "report"]).expect_code(3);
    assert!(mistyped.stderr.contains("there is no run at"), "{}", mistyped.stderr);
    assert!(!refused.path().exists());
    let data = ["--data", "simulated:train=48,test=0,size=32,seed=3", "--set", "ingest.test_fraction=0"];
    let untested = sandbox.pipeline_into(&run, &data).expect_code(2);
    assert!(untested.stderr.contains("ingest.test_fraction"), "{}", untested.stderr);
    assert!(!run.ingest().exists() && !run.train().exists());

    sandbox.write_pipeline("[train]\nepochs = 'many'\n");
    let wrong = sandbox.pipeline_into(&run, &[]).expect_code(2);
    assert!(wrong.stderr.contains("epochs") && wrong.stderr.contains("tiny.toml"), "{}", wrong.stderr);
    let untrained = output_of(sandbox.stage("report", &sandbox.run("empty")).args(["--set", "train.epochs=2"]));
    assert!(untrained.expect_code(3).stderr.contains("there is no run at"));
}

#[test]
fn copied_programs_work_without_sources_and_without_cargo() {
    let sandbox = Sandbox::new();
    let (pipelines, programs) = (sandbox.path().join("copy/pipelines"), sandbox.path().join("copy/target/release"));
    for folder in [&pipelines, &programs] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::rename(sandbox.pipeline(), pipelines.join("tiny.toml")).unwrap();
    for name in ["xtask", "candling-ingest", "candling-train", "candling-evaluate", "candling-report"] {
        let built = program(name);
        fs::copy(built.get_program(), programs.join(name).with_extension(std::env::consts::EXE_EXTENSION)).unwrap();
    }

    let run = |missing: &str, change: &dyn Fn(&mut Command)| {
        let mut copied = Command::new(programs.join("xtask"));
        copied.current_dir(sandbox.path()).args(["pipeline", "tiny", "--until", "ingest"]);
        change(&mut copied);
        let done = output_of(&mut copied).expect_code(0);
        assert!(done.stderr.contains(missing) && done.stderr.contains("without building"), "{}", done.stderr);
    };
    // The machine may have cargo for other projects.
    run("there are no sources around xtask", &|_| {});
    fs::write(sandbox.path().join("copy/Cargo.toml"), "").unwrap();
    run("there is no cargo on this machine", &|copied| {
        copied.env_remove("CARGO").env("PATH", "");
    });
    complete_manifest(&sandbox.path().join("runs/tiny/ingest"));
}

#[test]
fn run_toml_follows_single_stages() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("first");
    sandbox.pipeline_into(&run, &["--set", "train.runs=2", "--set", "train.epochs=1"]).expect_code(0);
    assert_eq!(json(&run.evaluate().join(names::METRICS))["runs"].as_array().unwrap().len(), 2);
    let single = |stage: &str, rest: &[&str]| {
        output_of(program("xtask").arg(stage).arg("--run-dir").arg(run.path()).args(rest)).expect_code(0).stderr
    };
    let settings = || config::read(&run.config()).unwrap();

    // A run beyond train.runs is not averaged, and not deleted.
    let lowered = single("train", &["--set", "train.runs=1"]);
    assert!(lowered.contains("run-1` is left out of evaluate and report, because train.runs is 1"), "{lowered}");
    assert_eq!(settings()["train"]["runs"].as_integer(), Some(1));
    let evaluated = single("evaluate", &["--set", "evaluate.robustness=true", "--set", "evaluate.robustness_images=4"]);
    assert!(evaluated.contains("run-1` is left out"), "{evaluated}");
    assert_eq!(json(&run.evaluate().join(names::METRICS))["runs"].as_array().unwrap().len(), 1);
    assert!(run.train_run(1).exists());
    single("report", &["--title", "A title of its own"]);
    assert_eq!(complete_manifest(&run.report()).config["title"], "A title of its own");

    let written = settings();
    assert_eq!(written["evaluate"]["robustness"].as_bool(), Some(true));
    assert_eq!(written["report"]["title"].as_str(), Some("A title of its own"));
    for stage in names::STAGES {
        let stderr = single(stage, &[]);
        assert!(stderr.contains("up to date"), "{stderr}");
    }
    // A pipeline keeps the sections of stages that --from or --until leaves out.
    sandbox.pipeline_into(&run, &["--from", "report"]).expect_code(0);
    assert_eq!(settings()["evaluate"]["robustness"].as_bool(), Some(true));
    assert_eq!(settings()["train"]["runs"].as_integer(), Some(1));
    assert!(!settings()["report"].as_table().unwrap().contains_key("title"));
}
