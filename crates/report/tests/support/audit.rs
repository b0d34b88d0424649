//! The data audit of the fixture, and shards with the images of its near-duplicate pairs.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::schema::Audit;
use artifacts::shard::{Sample, ShardWriter};
use artifacts::{Label, Split};
use serde_json::{Value, json};

use super::fixture::{HOSTILE, HOSTILE_GENERATOR, RunSpec};
use super::scenes;

/// The images of the near-duplicate pairs, with their splits.
const IMAGES: [(&str, Split); 4] = [
    (HOSTILE, Split::Test),
    ("train/real/00007.jpg", Split::Train),
    ("test/real/00044.jpg", Split::Test),
    ("train/real/00045.jpg", Split::Train),
];

/// Returns an audit with two shortcuts and near-duplicates, or one that finds nothing.
pub(crate) fn audit(spec: &RunSpec) -> Audit {
    let pass = json!({"verdict": "pass", "shortcuts": []});
    let warning = json!({"verdict": "warning", "shortcuts": [
        {"feature": "file size", "roc_auc": 0.81, "explanation": "the file size of a file gives its class away: where it is \
            up to 20000, 40 of 300 are fake; where it is over 20000 to 90000, 260 of 300 are fake; save the images of both classes again in the same way with ingest.reencode"},
        {"feature": "format", "roc_auc": 0.71, "explanation": "fakes are <b>PNG</b> more often"},
    ]});
    let mut value = if spec.clean { pass } else { warning };
    if spec.few {
        value["verdict"] = json!("inconclusive");
    }
    let images = if spec.few { 10 } else { 2200 };
    let more = json!({
        "images": images, "sampled": images, "detectable_roc_auc": if spec.few { None } else { Some(0.615) },
        "associations": [
            association("file size", 0.81, &[("up to 20000", 260, 40), ("over 20000 to 90000", 40, 260)]),
            association("format", 0.71, &[("jpeg", 290, 170), ("png", 10, 130)]),
            association(&format!("EXIF {HOSTILE_GENERATOR}"), 0.52, &[("no", 150, 160), ("yes", 150, 140)]),
            association("progressive JPEG", 0.5, &[("no", 300, 300)]),
        ],
        "probes": {
            "metadata": probe(0.84, &[("file size", 0.72), ("format", 0.28)]),
            "colour_histogram": probe(0.61, &[("share of red 0 to 63, green 64 to 127, blue 0 to 63", 0.31)]),
            "thumbnail": probe(0.58, &[]),
        },
        "exact_duplicates": {
            "within_a_split": 7, "across_splits": if spec.clean { 0 } else { 5 }, "across_labels": 2,
            "leaked_test_images": if spec.clean { 0 } else { 3 },
        },
        "near_duplicates": if spec.clean { pairs(&[], 0) } else { pairs(&[pair(0, 1, true), pair(2, 3, false)], 2) },
    });
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

fn association(feature: &str, roc_auc: f64, bins: &[(&str, u64, u64)]) -> Value {
    let bins: Vec<Value> =
        bins.iter().map(|(value, real, fake)| json!({"value": value, "real": real, "fake": fake})).collect();
    json!({"feature": feature, "roc_auc": roc_auc, "cramers_v": roc_auc - 0.5, "mutual_information": 0.1, "bins": bins})
}

fn probe(roc_auc: f64, carried_by: &[(&str, f64)]) -> Value {
    let carried_by: Vec<Value> =
        carried_by.iter().map(|(feature, share)| json!({"feature": feature, "share": share})).collect();
    json!({"roc_auc": roc_auc, "folds": 5, "carried_by": carried_by})
}

fn pair(first: usize, second: usize, labels_differ: bool) -> Value {
    let [first, second] = [first, second].map(|index| IMAGES[index]);
    json!({"paths": [first.0, second.0], "splits": [first.1, second.1], "flipped": labels_differ, "similarity": 0.991,
        "labels_differ": labels_differ})
}

fn pairs(listed: &[Value], leaked: u64) -> Value {
    json!({"within_a_split": 0, "across_splits": listed.len(), "across_labels": listed.len() / 2,
        "leaked_test_images": leaked, "leaked_val_images": leaked / 2, "pairs": listed})
}

/// Writes shards that contain only the images of the pairs.
pub(crate) fn write_shards(dir: &Path) {
    for split in [Split::Train, Split::Test] {
        let side = scenes::SIDE as usize;
        let mut shards = ShardWriter::new(dir, split, [side, side], 100);
        for (path, _) in IMAGES.iter().filter(|image| image.1 == split) {
            let sample = Sample {
                id: Hash::of(path.as_bytes()),
                path: (*path).to_owned(),
                label: if path.contains("/fake/") { Label::Fake } else { Label::Real },
                split,
                generator: String::new(),
                width: scenes::SIDE,
                height: scenes::SIDE,
                format: "jpeg".to_owned(),
                file_bytes: 1,
                columns: BTreeMap::new(),
            };
            shards.push(sample, scenes::scene(path.len() as u32, false).as_raw()).unwrap();
        }
        shards.finish().unwrap();
    }
}
