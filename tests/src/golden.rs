//! Golden results of the stages: values that may change only together with the version of the stage.
//!
//! A golden file holds a stage version and named values. Text, such as a digest, must be equal. Numbers may differ by
//! `TOLERANCE`, because the last bits of floating-point results depend on the C library (`exp`, `ln`), which differs
//! between machines. A digest of such numbers would differ on some machines, even if they were rounded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The maximum difference of a number from its golden value: relative above 1, absolute below 1.
const TOLERANCE: f64 = 1e-3;

/// The environment variable with which a test writes golden values that are missing or that belong to another version.
const UPDATE: &str = "CANDLING_UPDATE_GOLDEN";

/// Compares the results of a stage with its golden file `tests/golden/stages/STAGE.json`. `version` is the version that
/// the manifest of the results records. New values need no new version: artifacts without them stay valid.
///
/// # Panics
/// The values differ. The message describes how to update the golden file.
#[track_caller]
pub fn check(stage: &str, version: u32, values: &Value) {
    let path = golden_file(stage);
    let found = flatten(values);
    let golden = std::fs::read(&path)
        .ok()
        .map(|text| -> Value { serde_json::from_slice(&text).unwrap_or_else(|e| panic!("`{}`: {e}", path.display())) });
    let Some(golden) = golden else {
        return update_or_fail(&path, stage, version, &found, "there are no golden values");
    };
    let differences = differences(&flatten(&golden["values"]), &found);
    let recorded = golden["version"].as_u64().unwrap_or_default();
    match (differences.is_empty(), u64::from(version) == recorded) {
        (true, true) => {}
        (false, true) if has_only_new_values(&flatten(&golden["values"]), &found) => {
            let reason = format!("there are new values, which need no new version:\n  {}\n", differences.join("\n  "));
            update_or_fail(&path, stage, version, &found, &reason);
        }
        (false, true) => panic!(
            "the results of the stage `{stage}` changed:\n  {}\n\
             If that is intended, raise `VERSION` in `impl Stage` (crates/{stage}/src/stage.rs), so that artifacts of the \
             former version are made again, and then run this test with {UPDATE}=1 to write the new golden values.",
            differences.join("\n  ")
        ),
        (_, false) => {
            let reason = format!("the golden values are of version {recorded}, but the stage has version {version}");
            update_or_fail(&path, stage, version, &found, &reason);
        }
    }
}

#[track_caller]
fn update_or_fail(path: &Path, stage: &str, version: u32, values: &BTreeMap<String, Value>, reason: &str) {
    assert!(std::env::var_os(UPDATE).is_some(), "{stage}: {reason}; run this test with {UPDATE}=1 to write them");
    let golden = json!({ "version": version, "values": values });
    let text = serde_json::to_string_pretty(&golden).expect("JSON") + "\n";
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder of golden values");
    std::fs::write(path, text).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
}

fn golden_file(stage: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join("stages").join(format!("{stage}.json"))
}

/// Names every scalar of a JSON value by its path: `runs/0/accuracy`.
fn flatten(value: &Value) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    add(value, String::new(), &mut flat);
    flat
}

fn add(value: &Value, path: String, flat: &mut BTreeMap<String, Value>) {
    let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| add(value, inner(key), flat)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| add(value, inner(&i.to_string()), flat));
        }
        scalar => drop(flat.insert(path, scalar.clone())),
    }
}

/// Whether all golden values are found unchanged.
fn has_only_new_values(golden: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> bool {
    golden.iter().all(|(key, golden)| found.get(key).is_some_and(|found| equal(golden, found)))
}

fn differences(golden: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = golden.keys().chain(found.keys()).collect();
    keys.into_iter()
        .filter(|key| match (golden.get(*key), found.get(*key)) {
            (Some(golden), Some(found)) => !equal(golden, found),
            _ => true,
        })
        .map(|key| match (golden.get(key), found.get(key)) {
            (Some(golden), Some(found)) => format!("{key}: {golden} -> {found}"),
            (None, Some(found)) => format!("{key}: {found} is new"),
            (golden, _) => format!("{key}: {} is missing", golden.unwrap_or(&Value::Null)),
        })
        .collect()
}

fn equal(golden: &Value, found: &Value) -> bool {
    match (golden.as_f64(), found.as_f64()) {
        (Some(golden), Some(found)) => (golden - found).abs() <= TOLERANCE * golden.abs().max(1.0),
        _ => golden == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerates_rounding_and_names_other_differences() {
        let golden = json!({ "digest": "ab", "rows": [{ "loss": 0.5 }, { "loss": 2000.0 }], "old": true });
        let close = json!({ "digest": "ab", "rows": [{ "loss": 0.5004 }, { "loss": 2001.0 }], "old": true });
        assert_eq!(differences(&flatten(&golden), &flatten(&close)), Vec::<String>::new());
        let other = json!({ "digest": "ac", "rows": [{ "loss": 0.51 }, { "loss": 2000.0 }], "new": 1 });
        assert_eq!(
            differences(&flatten(&golden), &flatten(&other)),
            [r#"digest: "ab" -> "ac""#, "new: 1 is new", "old: true is missing", "rows/0/loss: 0.5 -> 0.51"]
        );
    }

    #[test]
    fn tells_new_values_from_changed_and_missing_ones() {
        let golden = flatten(&json!({ "loss": 0.5, "rows": [1] }));
        let only_new = |found: Value| has_only_new_values(&golden, &flatten(&found));
        assert!(only_new(json!({ "loss": 0.5, "rows": [1, 2], "new": 1 })));
        assert!(!only_new(json!({ "loss": 0.6, "rows": [1], "new": 1 })));
        assert!(!only_new(json!({ "rows": [1], "new": 1 })));
    }
}
