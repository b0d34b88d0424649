//! Records and batches: a second computation gives the record, changes are named, and a killed batch continues.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use pipeline_tests::program;
use pipeline_tests::untrained::{Run, succeed};
use serde_json::Value;

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn pictures(run: &Run) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = ["real", "fake"]
        .iter()
        .flat_map(|class| fs::read_dir(run.source().join("test").join(class)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn verify(run: &Run, record: &Path, picture: &Path, options: &[&str], isa: Option<&str>) -> (Vec<Value>, Output) {
    let mut command = program("candling-verify");
    command.args([record, picture]).arg("--json").args(options);
    if !options.contains(&"--model") {
        command.arg("--run-dir").arg(run.run_dir().path());
    }
    if let Some(isa) = isa {
        command.env("CANDLING_ISA", isa);
    }
    let output = command.output().unwrap();
    let findings = String::from_utf8(output.stdout.clone()).unwrap();
    (serde_json::from_str(&findings).unwrap_or_default(), output)
}

fn different(findings: &[Value]) -> Vec<&str> {
    let differs = findings.iter().filter(|finding| finding["agreement"] == "different");
    differs.map(|finding| finding["part"].as_str().unwrap()).collect()
}

#[test]
fn a_record_is_repeated_to_the_last_digit_and_changes_are_named() {
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    let paths = pictures(&run);
    let (record, overlays) = (run.dir.path().join("record.json"), run.dir.path().join("overlays"));
    let (rows, output) =
        run.predict(&[&text(&paths[0]), "--record", &text(&record), "--stability", "--explain", &text(&overlays)]);
    succeed(&output);
    let (low, high) = (rows[0]["stability"]["low"].as_f64().unwrap(), rows[0]["stability"]["high"].as_f64().unwrap());
    let own = rows[0]["p_fake_calibrated"].as_f64().unwrap();
    assert!(low <= own && own <= high, "{}", rows[0]["stability"]);
    assert!(rows[0]["verdict_words"].is_string(), "{}", rows[0]);
    assert!(rows[0]["validation"].is_object() || rows[0]["validation_missing"].is_string(), "{}", rows[0]);

    let (findings, output) = verify(&run, &record, &paths[0], &[], None);
    succeed(&output);
    assert!(findings.iter().all(|finding| finding["agreement"] == "equal"), "{findings:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("to the last digit"));
    // Another instruction set: probabilities are within the tolerance.
    let (findings, output) = verify(&run, &record, &paths[0], &[], Some("portable"));
    succeed(&output);
    let words = findings.iter().filter(|finding| finding["part"] == "verdict");
    assert!(words.clone().count() == 1 && words.into_iter().all(|finding| finding["agreement"] == "equal"));

    // Another picture.
    let (findings, output) = verify(&run, &record, &paths[1], &[], None);
    assert_eq!((output.status.code(), different(&findings)), (Some(3), vec!["picture"]));
    // Another model: the second training run has other weights, and no calibration.
    let other = text(&run.run_dir().train_run(1).join("best"));
    let (findings, output) = verify(&run, &record, &paths[0], &["--model", &other], None);
    assert_eq!(output.status.code(), Some(3));
    assert!(different(&findings).contains(&"weights of the model"), "{findings:?}");
    // Another setting.
    let changed = run.dir.path().join("changed.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&record).unwrap()).unwrap();
    json["settings"]["trust_list"] = json["model"]["weights"].clone();
    fs::write(&changed, json.to_string()).unwrap();
    let (findings, _) = verify(&run, &changed, &paths[0], &[], None);
    assert_eq!(different(&findings), ["setting trust list"]);
    // A changed score.
    json["settings"]["trust_list"] = Value::Null;
    json["result"]["p_fake"] = Value::from(0.123);
    fs::write(&changed, json.to_string()).unwrap();
    let (findings, output) = verify(&run, &changed, &paths[0], &[], None);
    assert_eq!((output.status.code(), different(&findings)), (Some(3), vec!["p_fake"]));
    fs::write(&changed, "{").unwrap();
    let (_, output) = verify(&run, &changed, &paths[0], &[], None);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn records_of_several_pictures_stand_one_a_line() {
    let run = Run::new();
    let paths = pictures(&run);
    let record = run.dir.path().join("records.jsonl");
    let (_, output) = run.predict(&[&text(&paths[0]), &text(&paths[1]), "--record", &text(&record)]);
    succeed(&output);
    assert_eq!(fs::read_to_string(&record).unwrap().lines().count(), 2);
    let (findings, output) = verify(&run, &record, &paths[1], &[], None);
    succeed(&output);
    assert!(different(&findings).is_empty());
    let (_, output) = verify(&run, &record, &paths[2], &[], None);
    assert!(String::from_utf8_lossy(&output.stderr).contains("none of its 2 records"), "{output:?}");
}

#[test]
fn a_batch_continues_after_a_kill() {
    let run = Run::new();
    let source = run.source().join("test");
    fs::write(source.join("broken<b>.jpg"), b"not a picture").unwrap();
    let out = run.dir.path().join("batch");
    let batch =
        |options: &[&str]| run.predict_rows(&[&[text(&source).as_str(), "--batch-dir", &text(&out)], options].concat());
    let output = batch(&[]);
    succeed(&output);
    assert!(output.stdout.is_empty(), "a batch prints no rows");
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    let (csv, page) = (read("results.csv"), read("index.html"));
    assert_eq!(csv.lines().count(), 1 + 13);
    assert!(page.matches("<li>").count() >= 13 && page.contains("broken&lt;b&gt;.jpg"), "{page}");
    assert_eq!(fs::read_dir(out.join("thumbnails")).unwrap().count(), 12);

    // As if it was killed while it wrote the eighth line.
    let journal = read("results.jsonl");
    let lines: Vec<&str> = journal.lines().collect();
    fs::write(out.join("results.jsonl"), format!("{}\n{}", lines[..7].join("\n"), &lines[7][..40])).unwrap();
    fs::remove_file(out.join("results.csv")).unwrap();
    let output = batch(&[]);
    succeed(&output);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("has 7 results") && message.contains("computed 6 results"), "{message}");
    assert_eq!(read("results.csv"), csv);
    assert_eq!(read("index.html"), page);
    // Nothing is left to compute, and other settings need another folder.
    assert!(String::from_utf8_lossy(&batch(&[]).stderr).contains("computed 0 results"));
    let output = batch(&["--stability"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
