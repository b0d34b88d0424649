//! Tests of the page that `candling-benchmark-report` writes, and of its errors.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::fixture::{self, RunSpec};

/// Writes `benchmark.json` with 30 published results, and an evaluation. Renders the page.
fn render(dir: &Path, change: impl FnOnce(&mut Value)) -> Output {
    let run = fixture::write(&dir.join("run"), RunSpec::default());
    let results: Vec<Value> = (0..30)
        .map(|i| {
            json!({
                "benchmark": "bench", "method": format!("Method {i}"), "backbone": "CLIP ViT-L/14",
                "training": "ProGAN and Stable Diffusion 1.4, 144,000 images", "metric": "accuracy",
                "mean": 0.5 + 0.01 * f64::from(i), "caveats": ["The checkpoint is that of the best epoch."],
                "generators": {"adm": 0.4, "a generator with a long name of many words": 0.9},
            })
        })
        .collect();
    let mut copy = json!({
        "schema_version": 1, "name": "Bench", "paper": "Someone 2025", "metric": "accuracy", "caveats": [],
        "lacking": ["`adm` has no fakes"],
        "published": [{
            "schema_version": 1, "title": "A paper with a title that is as long as the titles of papers are",
            "source": "README.md of github.com/owner/repository at 0123abc, table \"Setting II\"", "results": results,
        }],
    });
    change(&mut copy);
    std::fs::write(dir.join("benchmark.json"), copy.to_string()).unwrap();
    let program = env!("CARGO_BIN_EXE_candling-benchmark-report");
    Command::new(program).arg(dir).arg(run.evaluate()).output().unwrap()
}

#[test]
fn fits_every_width_and_covers_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let output = render(dir.path(), |_| ());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = dir.path().join("benchmark/index.html");
    assert!(dir.path().join("benchmark/figures/results.csv").exists());
    let Some(mut browser) = Browser::start() else { return };
    for width in [1280, 390] {
        browser.resize(width, 900);
        browser.open(&page);
        assert_eq!(browser.eval("document.documentElement.scrollWidth"), width);
        assert_eq!(browser.eval(include_str!("support/overlaps.js")), "", "{width} pixels");
    }
    for scheme in ["light", "dark"] {
        browser.set_colour_scheme(scheme);
        assert_eq!(browser.eval(include_str!("support/contrast.js")), "", "{scheme}");
    }
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let output = render(dir.path(), |copy| copy["metric"] = "acuracy".into());
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`acuracy` is no metric"));
    let program = env!("CARGO_BIN_EXE_candling-benchmark-report");
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(program).arg(empty.path()).arg(dir.path().join("run/evaluate")).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("benchmark NAME --root FOLDER"));
}
