//! A benchmark and an evaluation for unit tests.

use artifacts::schema::BenchmarkCopy;
use serde_json::json;

use super::Evaluated;
use crate::test_data::scores;

/// Returns a benchmark with two published results, one of them by generator.
pub(super) fn copy() -> BenchmarkCopy {
    let value = json!({
        "schema_version": 1, "name": "Bench", "paper": "Someone 2025", "metric": "accuracy",
        "caveats": ["The paper reports accuracy."], "lacking": ["`adm` has 1 fakes, but the benchmark has 6000"],
        "published": [{
            "schema_version": 1, "title": "A </td> paper", "source": "table 2", "date": null,
            "caveats": ["All methods were trained again."],
            "results": [
                {"benchmark": "bench", "method": "NPR", "metric": "accuracy", "mean": 0.55, "generators": {"adm": 0.5}},
                {"benchmark": "bench", "method": "SAFE", "metric": "accuracy", "mean": 0.817},
            ],
        }],
    });
    serde_json::from_value(value).unwrap()
}

/// Returns an evaluation on two generators.
pub(super) fn evaluated(name: &str) -> Evaluated {
    let group = |name: &str, accuracy: f64| {
        let mut group = serde_json::to_value(scores()).unwrap();
        group["accuracy"] = accuracy.into();
        group["name"] = name.into();
        group["reals"] = 5.into();
        group["fakes"] = 5.into();
        group["fitted_balanced_accuracy"] = json!(null);
        group["intervals"] = json!({"accuracy": {"low": accuracy - 0.1, "high": accuracy + 0.1}});
        group
    };
    let mut value = serde_json::to_value(scores()).unwrap();
    let mut run = value.clone();
    run["run"] = 0.into();
    run["roc"] = json!([]);
    run["pr"] = json!([]);
    run["generators"] = json!({
        "groups": [group("adm", 0.8), group("sd", 0.6)], "mean": {"accuracy": 0.7},
        "worst": {"accuracy": {"name": "sd", "value": 0.6}},
    });
    for (key, of_key) in [
        ("schema_version", json!(1)),
        ("dataset", json!("test.csv")),
        ("simulated", json!(false)),
        ("split", json!("test")),
        ("checkpoint", json!("best")),
        ("runs", json!([run])),
        ("over_runs", json!({})),
    ] {
        value[key] = of_key;
    }
    Evaluated { name: name.to_owned(), metrics: serde_json::from_value(value).unwrap() }
}
