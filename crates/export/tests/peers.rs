//! Checks that onnxruntime, torchvision, timm and transformers compute the logits of Candling with an exported model.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use artifacts::Checkpoint;
use evaluate::Detector;
use export::cli::Format;
use model::device::Device;

use crate::common::{checkpoint, export_to, pixels};

/// The largest batch that the script computes.
const IMAGES: usize = 64;

fn other_programs_compute_same_logits(architecture: &str) {
    let Some(python) = testing::peer_python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint(dir.path(), architecture);
    let (folder, onnx, file) = (dir.path().join("hf"), dir.path().join("model.onnx"), dir.path().join("pixels"));
    export_to(&checkpoint, Format::Hf, &folder).unwrap();
    export_to(&checkpoint, Format::Onnx, &onnx).unwrap();
    let pixels = pixels(IMAGES);
    std::fs::write(&file, &pixels).unwrap();
    let scores = Detector::open(&Checkpoint::new(&folder), &Device::Cpu).unwrap().scores(&pixels, IMAGES).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/exported_logits.py");
    let output = Command::new(python)
        .arg(script)
        .args([&folder, &onnx, &file])
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: BTreeMap<String, Vec<[f32; 2]>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(theirs.len(), 6, "{:?}", theirs.keys());
    for (program, logits) in theirs {
        let expected = if program.ends_with("batch 1") {
            1
        } else if program.ends_with("batch 3") {
            3
        } else {
            IMAGES
        };
        assert_eq!(logits.len(), expected, "{program}");
        for (theirs, ours) in logits.iter().zip(&scores) {
            for (theirs, ours) in theirs.iter().zip([ours.real, ours.fake]) {
                assert!((theirs - ours).abs() <= 1e-4, "{architecture}, {program}: {theirs} and {ours}");
            }
        }
    }
    let spread = scores.iter().map(|score| score.fake).fold(f32::MIN, f32::max)
        - scores.iter().map(|score| score.fake).fold(f32::MAX, f32::min);
    assert!(spread > 1e-2, "the images have different logits: {spread}");
}

#[test]
fn other_programs_compute_same_logits_with_resnet18() {
    other_programs_compute_same_logits("resnet18");
}

#[test]
fn other_programs_compute_same_logits_with_resnet34() {
    other_programs_compute_same_logits("resnet34");
}

#[test]
fn other_programs_compute_same_logits_with_resnet50() {
    other_programs_compute_same_logits("resnet50");
}

#[test]
fn other_programs_compute_same_logits_with_resnet101() {
    other_programs_compute_same_logits("resnet101");
}
