//! The program `candling` in an empty folder, without a checkout and without cargo.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use artifacts::{RunDir, names};
use pipeline_tests::{complete_manifest, output_of, program};
use serde_json::Value;

use crate::stage_versions::bitmap;

/// Returns the command `candling WORDS…` in a folder. It finds no other program.
fn candling(folder: &Path, words: &str) -> Command {
    let mut command = program("candling");
    command.current_dir(folder).env("PATH", folder).env_remove("CARGO").args(words.split_whitespace());
    command
}

#[test]
fn runs_built_in_pipeline_once_in_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::new(folder.path().join("runs/smoke"));
    let dry = output_of(&mut candling(folder.path(), "pipeline smoke --dry-run")).expect_code(0);
    assert_eq!(dry.stderr.matches("would run").count(), 4, "{}", dry.stderr);
    assert!(!run.path().exists(), "a dry run writes nothing");

    let temporary = folder.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    output_of(candling(folder.path(), "pipeline smoke").env("TMPDIR", &temporary)).expect_code(0);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "the built-in pipeline file is deleted");
    for dir in [run.ingest(), run.train_run(0), run.evaluate(), run.report()] {
        complete_manifest(&dir);
    }
    let again = output_of(&mut candling(folder.path(), "pipeline smoke")).expect_code(0);
    assert_eq!(again.stderr.matches("up to date").count(), 4, "{}", again.stderr);

    // Single stages find the run, by the name of its pipeline too.
    let stage = output_of(&mut candling(folder.path(), "evaluate")).expect_code(0);
    assert!(stage.stderr.contains("runs/smoke") && stage.stderr.contains("up to date"), "{}", stage.stderr);
    let stage = output_of(&mut candling(folder.path(), "report --pipeline smoke")).expect_code(0);
    assert!(stage.stderr.contains("up to date"), "{}", stage.stderr);
    let words = "evaluate --data simulated:train=0,test=10,size=32,seed=9 --name other";
    output_of(&mut candling(folder.path(), words)).expect_code(0);
    complete_manifest(&run.stage("evaluate-other"));
    let report = output_of(&mut candling(folder.path(), "report")).expect_code(0);
    assert!(report.stderr.contains("running"), "{}", report.stderr);
    assert!(run.report().join("evaluate-other").join(names::PAGE).exists(), "each evaluation has a page");
    let words = "compare ours=runs/smoke runs/smoke/evaluate --out both";
    output_of(&mut candling(folder.path(), words)).expect_code(0);
    let page = fs::read_to_string(folder.path().join("both/report").join(names::PAGE)).unwrap();
    assert!(page.contains("ours and runs/smoke/evaluate"), "the page names a run as the user does");

    // A picture has the same verdict with the run and with what was exported from it.
    let picture = "runs/smoke/report/figures/roc.png";
    let predicted = output_of(&mut candling(folder.path(), &format!("predict --json {picture}"))).expect_code(0).stdout;
    let predicted: Value = serde_json::from_str(&predicted).unwrap();
    assert!(predicted["p_fake"].is_f64() && predicted["verdict"].is_string(), "{predicted}");
    output_of(&mut candling(folder.path(), "export --format hf --out model")).expect_code(0);
    let words = format!("predict --json --model model {picture}");
    let exported: Value =
        serde_json::from_str(&output_of(&mut candling(folder.path(), &words)).expect_code(0).stdout).unwrap();
    for key in ["p_fake", "p_fake_calibrated", "verdict", "warnings"] {
        assert_eq!(exported[key], predicted[key], "{key}");
    }
    output_of(&mut candling(folder.path(), "export --format onnx --out model.onnx")).expect_code(0);
    assert!(folder.path().join("model.onnx").metadata().unwrap().len() > 90_000_000);
}

#[test]
fn messages_name_the_program_and_exit_codes_are_those_of_stages() {
    let folder = tempfile::tempdir().unwrap();
    let failing = |words: &str, code: i32, message: &str| {
        let stderr = output_of(&mut candling(folder.path(), words)).expect_code(code).stderr;
        assert!(stderr.contains(message), "{words}: {stderr}");
        assert!(!stderr.contains("cargo"), "{words}: {stderr}");
    };
    failing("train", 3, "start one with `candling pipeline demo`");
    failing("evaluate --run-dir nowhere", 3, "`candling pipeline`");
    failing(
        "pipeline demoo",
        2,
        "unknown pipeline `demoo`; use one of aligned, branches, demo, full, probe, smoke, or",
    );
    failing("pipeline smoke --set train.epoch=1", 2, "did you mean `train.epochs`");
    failing("pipeline smoke --from report", 3, "there is no run");
    failing("benchmark genimag --root x", 2, "there is no benchmark `genimag`; there are aigibench,");
    failing("benchmark genimage --root nowhere", 3, "there is no copy of GenImage at `nowhere`; check --root");
    failing("predict photo.jpg", 3, "--model");
    failing("predict --model nowhere photo.jpg", 3, "nowhere");
    failing("export --format onnx --out x.onnx", 3, "--run-dir");
    failing("export --format pickle --out x", 2, "[possible values: hf, onnx]");
    failing("pipeline", 2, "Usage: candling pipeline");
    failing("pipelin demo", 2, "pipeline");
    failing("", 2, "Usage: candling");
}

#[test]
fn help_is_quick_and_names_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let help = output_of(&mut candling(folder.path(), "--help")).expect_code(0).stdout;
    for stage in names::STAGES {
        assert!(help.contains(stage), "{help}");
    }
    let start = Instant::now();
    for command in [
        "predict",
        "serve",
        "verify",
        "export",
        "compare",
        "judge",
        "benchmark",
        "pipeline",
        "ingest",
        "train",
        "evaluate",
        "report",
    ] {
        let help = output_of(&mut candling(folder.path(), &format!("{command} --help"))).expect_code(0).stdout;
        assert!(help.contains(&format!("Usage: candling {command}")), "{help}");
        assert!(!help.contains("cargo") && !help.contains("xtask"), "{help}");
    }
    assert!(start.elapsed() < Duration::from_secs(8), "no help takes a second: {:?}", start.elapsed());
}

#[test]
fn benchmark_ends_with_a_page_of_scores_among_published_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = "path,score\n".to_owned();
    let mut pixels = [0; 32 * 32 * 3];
    for (platform, wrong) in [("facebook", 0), ("reddit", 1), ("twitter", 2)] {
        let images = folder.path().join("copy/test").join(platform);
        for i in 0..8 {
            let class = ["0_real", "1_fake"][i % 2];
            fs::create_dir_all(images.join(class)).unwrap();
            // No two files are equal.
            pixels[0] += 1;
            fs::write(images.join(class).join(format!("{i}.bmp")), bitmap(&pixels, 32)).unwrap();
            let is_called_fake = (i % 2 == 1) != (i < wrong);
            rows += &format!("test/{platform}/{class}/{i}.bmp,{}\n", if is_called_fake { 0.9 } else { 0.1 });
        }
    }
    fs::write(folder.path().join("mine.csv"), rows).unwrap();
    let temporary = folder.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let words = "benchmark wildrf --root copy --predictions mine.csv";
    output_of(candling(folder.path(), words).env("TMPDIR", &temporary)).expect_code(0);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "the built-in files are deleted");
    let page = folder.path().join("runs/benchmark-wildrf/benchmark").join(names::PAGE);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("mine: Accuracy 0.875 [") && page.contains("the worst is twitter with 0.750"), "{page}");
    assert!(page.contains("Published: ") && page.contains("WildRF"), "{page}");
}

#[test]
fn help_of_stages_names_the_command_that_starts_them() {
    for stage in names::STAGES {
        let help = output_of(program(&format!("candling-{stage}")).arg("--help")).expect_code(0).stdout;
        assert!(help.contains(&format!("Usage: cargo xtask {stage} [OPTIONS]")), "{help}");
    }
}

#[test]
fn help_of_benchmarks_has_the_options_that_are_passed_on() {
    let help = output_of(program("xtask").args(["benchmark", "--help"])).expect_code(0).stdout;
    assert!(help.contains("Usage: cargo xtask benchmark") && help.contains("cargo xtask benchmark genimage"), "{help}");
    assert!(["--root", "--run-dir", "--model", "--predictions"].iter().all(|option| help.contains(option)), "{help}");
    assert!(!help.contains("--out"), "{help}");
}

#[test]
fn writes_completions_and_man_pages() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output_of(&mut candling(folder.path(), &format!("completions {shell}"))).expect_code(0).stdout;
        assert!(script.contains("robustness") && script.contains("pipeline"), "{shell}: {script}");
    }
    output_of(&mut candling(folder.path(), "man --dir pages/man1")).expect_code(0);
    let page = |name: &str| fs::read_to_string(folder.path().join("pages/man1").join(name)).unwrap();
    assert!(page("candling.1").contains("candling\\-pipeline"), "{}", page("candling.1"));
    assert!(page("candling-train.1").contains("resume"), "{}", page("candling-train.1"));
}
