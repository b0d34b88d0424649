//! `docs/configuration.md` and `pipelines/pipeline.schema.json` describe the keys of the programs, and the examples in
//! them are valid.
//!
//! With `CANDLING_UPDATE_GOLDEN=1`, the test writes both files.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::config::{Key, Sections, pipeline_schema};
use pipeline_tests::{output_of, program};
use serde_json::{Map, Value};

const STAGES: [&str; 4] = ["ingest", "train", "evaluate", "report"];

const INTRODUCTION: &str = "# Configuration

A pipeline file has a section for each stage. Every key has a default; a file holds only what differs. `--set
SECTION.KEY=VALUE` sets one key on the command line, e.g. `--set train.epochs=2`. The file `run.toml` of a run keeps what
was set. An unknown key or a value that is not allowed is an error before anything starts.

`candling-STAGE --keys` prints the keys of a stage. Editors with support for TOML schemas complete and check the keys of
files that begin with `#:schema pipeline.schema.json`, as those in `pipelines/` do. The type `text` is written in quotes in
files; `--set` needs none.

This page is made from the doc comments of the configuration types. After a change there, run
`CANDLING_UPDATE_GOLDEN=1 cargo test --release --workspace --test integration configuration`.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The keys and schemas of all sections, in the order of the stages.
fn sections() -> (Vec<Key>, Map<String, Value>) {
    let (mut keys, mut schemas) = (Vec::new(), Map::new());
    for stage in STAGES {
        let output = output_of(program(&format!("candling-{stage}")).arg("--schema")).expect_code(0);
        let sections: Sections = serde_json::from_str(&output.stdout).unwrap();
        keys.extend(sections.keys);
        schemas.extend(sections.schemas);
    }
    (keys, schemas)
}

/// Compares a file with its expected content, or writes it.
#[track_caller]
fn check_file(path: &Path, expected: &str) {
    if std::env::var_os("CANDLING_UPDATE_GOLDEN").is_some() {
        fs::write(path, expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "`{}` does not agree with the configuration types; run `CANDLING_UPDATE_GOLDEN=1 cargo test --release \
         --workspace --test integration configuration`; first difference: {differs:?}",
        path.display()
    );
}

fn page(keys: &[Key]) -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for Key { key, kind, default, range, example, text, .. } in keys {
        let of_key = key.split('.').next().unwrap();
        if section != of_key {
            section = of_key;
            page.push_str(&format!(
                "\n## `[{section}]`\n\n| Key | Type | Default | Allowed | Example | Meaning |\n|---|---|---|---|---|---|\n"
            ));
        }
        let default = if default == "not set" { default.clone() } else { format!("`{default}`") };
        let cells = [format!("`{key}`"), kind.clone(), default, range.clone(), format!("`{example}`"), text.clone()];
        page.push_str(&format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")));
    }
    page
}

#[test]
fn page_and_schema_agree_with_the_configuration_types() {
    let (keys, schemas) = sections();
    for Key { key, kind, range, example, text, .. } in &keys {
        assert!(!kind.is_empty(), "{key} has no type");
        assert!(!text.is_empty(), "{key} has no documentation");
        assert!(!range.is_empty(), "{key} has no range; add `#[schemars(range(…))]` or `extend(\"x-range\" = …)`");
        assert!(!example.is_empty(), "{key} has neither a default nor an example; add `#[schemars(example = …)]`");
    }
    check_file(&root().join("docs/configuration.md"), &page(&keys));
    let schema = serde_json::to_string_pretty(&pipeline_schema(schemas)).unwrap();
    check_file(&root().join("pipelines/pipeline.schema.json"), &format!("{schema}\n"));
}

/// `--plan` resolves and validates the configuration without running anything.
#[test]
fn examples_are_valid() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, _) = sections();
    for Key { key, example, table, .. } in &keys {
        let stage = match key.split('.').next().unwrap() {
            "model" => "train",
            section => section,
        };
        let mut command = program(&format!("candling-{stage}"));
        command.arg("--plan").arg("--run-dir").arg(dir.path());
        // Examples name data sets and weights that are not here.
        command.env("HF_HUB_OFFLINE", "1").env("KAGGLE_API_ENDPOINT", "http://127.0.0.1:1");
        let needed: &[&str] = match key.as_str() {
            key if key.starts_with("ingest.") && key != "ingest.source" => &["ingest.source=simulated:train=9,test=9"],
            // The detector that has the keys of branches.
            key if key.starts_with("model.") && key != "model.branches" => {
                &["model.branches=[\"frequency\", \"patches\"]"]
            }
            _ => &[],
        };
        for set in needed {
            command.arg("--set").arg(set);
        }
        if let Some((table, value)) = table {
            command.arg("--set").arg(format!("{table}={value}"));
        }
        command.arg("--set").arg(format!("{key}={example}"));
        let output = output_of(&mut command);
        // A folder that an example names need not exist.
        let is_valid = !["must be", "bad value", "unknown key"].iter().any(|error| output.stderr.contains(error));
        assert!(output.code == Some(0) || is_valid || key == "evaluate.data", "{key} = {example}: {}", output.stderr);
    }
}

#[test]
fn pipelines_name_the_schema() {
    for entry in fs::read_dir(root().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#:schema pipeline.schema.json\n"), "`{}` names no schema", path.display());
        }
    }
}

#[test]
fn keys_are_printed_as_text() {
    let output = output_of(program("candling-train").arg("--keys")).expect_code(0);
    assert!(output.stdout.contains("train.epochs = 60\n    integer; at least 1; for example --set train.epochs=60\n"));
    assert!(output.stdout.contains("model.fusion.l2 = ") && !output.stdout.contains("train.model"));
}
