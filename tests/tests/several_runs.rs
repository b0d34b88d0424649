//! Two trainings in one run: their metrics and report, and a comparison of the two.

use std::fs;

use artifacts::{names, predictions};
use pipeline_tests::{Sandbox, complete_manifest, json, output_of, program};

#[test]
fn two_trainings_are_evaluated_reported_and_compared() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("two");
    sandbox.pipeline_into(&run, &["--set", "train.runs=2"]).expect_code(0);
    for number in 0..2 {
        complete_manifest(&run.train_run(number));
    }

    let metrics = json(&run.evaluate().join(names::METRICS));
    let runs = metrics["runs"].as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["run"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(runs[0]["weights"], runs[1]["weights"]);
    let rows = predictions::read(&run.evaluate().join(names::PREDICTIONS)).unwrap();
    assert_eq!([0, 1].map(|number| rows.iter().filter(|row| row.run == number).count()), [24, 24]);
    let [a, b] = [0, 1].map(|number: usize| runs[number]["roc_auc"].as_f64().unwrap());
    let over_runs = &metrics["over_runs"]["roc_auc"];
    assert!((over_runs["mean"].as_f64().unwrap() - (a + b) / 2.0).abs() < 1e-12, "{over_runs}: {a}, {b}");
    // The standard deviation of two values is their difference divided by the square root of 2.
    assert!((over_runs["std"].as_f64().unwrap() - (a - b).abs() / 2f64.sqrt()).abs() < 1e-12, "{over_runs}: {a}, {b}");

    let report = fs::read_to_string(run.report().join("index.html")).unwrap();
    assert!(report.contains(">run 0<") && report.contains(">run 1<"));

    let comparison = sandbox.path().join("comparison");
    let mut compare = program("xtask");
    compare.arg("compare").arg(run.path()).arg(format!("{}:1", run.path().display()));
    output_of(compare.args(["--resamples", "50", "--out"]).arg(&comparison)).expect_code(0);
    let compared = json(&comparison.join("compare.json"));
    assert_eq!(compared["images"], 24);
    let detectors = compared["entrants"].as_array().unwrap();
    assert_eq!(detectors.len(), 2);
    for (detector, run) in detectors.iter().zip(runs) {
        assert_eq!((&detector["run"], &detector["weights"]), (&run["run"], &run["weights"]));
        assert_eq!(detector["scores"]["roc_auc"], run["roc_auc"]);
    }
    assert_eq!(compared["pairs"].as_array().unwrap().len(), 1);
    let page = fs::read_to_string(comparison.join("report").join("index.html")).unwrap();
    assert!(page.contains("</html>") && page.contains(&format!("{}:1", run.path().display())));
}
