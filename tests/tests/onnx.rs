//! onnxruntime computes the logits of exported detectors of branches, from pictures that are prepared as the metadata say.

use std::fs;
use std::path::Path;
use std::process::Command;

use artifacts::shard::Shards;
use artifacts::{Split, names, predictions};
use pipeline_tests::{Sandbox, output_of, program};
use pixels::Limits;

use crate::branches::{BRANCHES, write_vision_transformer};

/// The number of images that are compared.
const IMAGES: usize = 5;

/// Trains a detector with these branches, of which `vit` is a transformer in the shape of the golden values `name` with the
/// settings `vit`, and exports it.
fn onnxruntime_computes_same_logits(branches: &str, name: &str, vit: &str) {
    let Some(python) = testing::peer_python() else { return };
    let sandbox = Sandbox::new();
    let weights = write_vision_transformer(&sandbox.path().join("transformer"), name);
    let settings = format!("vit = {{ weights = '{}', {vit} }}\nresnet = {{ size = 64 }}", weights.display());
    let pipeline = BRANCHES.replace("'frequency', 'patches', 'metadata'", branches);
    let pipeline = pipeline.replace("[model.views]", &format!("{settings}\n[model.views]"));
    // Random weights of the ResNet.
    sandbox.write_pipeline(&pipeline.replace("[train]", "[train]\nweights = 'none'"));
    let run = sandbox.run("vit");
    sandbox.pipeline_into(&run, &["--until", "evaluate"]).expect_code(0);
    let file = sandbox.path().join("model.onnx");
    let mut export = program("candling-export");
    export.arg("--run-dir").arg(run.path()).args(["--format", "onnx", "--out"]).arg(&file);
    output_of(&mut export).expect_code(0);

    let shards = Shards::open(&run.ingest(), Split::Test).unwrap();
    let mut peer = Command::new(python);
    peer.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/onnx_detector.py")).arg(&file);
    for row in 0..IMAGES {
        let image = pixels::decode(shards.file(row).unwrap(), &Limits::default()).unwrap().rgb;
        let path = sandbox.path().join(format!("{row}.ppm"));
        let header = format!("P6 {} {} 255\n", image.width(), image.height());
        fs::write(&path, [header.as_bytes(), image.data()].concat()).unwrap();
        peer.arg(path);
    }
    let theirs: Vec<[f32; 2]> = serde_json::from_str(&output_of(&mut peer).expect_code(0).stdout).unwrap();
    let rows = predictions::read(&run.evaluate().join(names::PREDICTIONS)).unwrap();
    assert_eq!(theirs.len(), IMAGES);
    for (row, theirs) in theirs.iter().enumerate() {
        let ours = rows.iter().find(|ours| ours.id == shards.sample(row).id).unwrap();
        for (theirs, ours) in theirs.iter().zip([ours.logit_real, ours.logit_fake]) {
            assert!((theirs - ours).abs() <= 1e-4, "{name}, image {row}: {theirs} and {ours}");
        }
        assert!(ours.logit_fake.abs() > 1e-3, "the head is trained: {}", ours.logit_fake);
    }
}

#[test]
fn frozen_clip() {
    onnxruntime_computes_same_logits("'vit', 'metadata'", "clip", "crops = 'both'");
}

#[test]
fn dinov2_with_registers_trained_as_a_whole() {
    onnxruntime_computes_same_logits("'vit'", "dinov2_registers", "crops = 'whole', tuning = 'full'");
}

#[test]
fn siglip_with_lora_and_a_resnet() {
    onnxruntime_computes_same_logits("'vit', 'resnet18'", "siglip", "layers = [1, 2], tuning = 'lora', lora_rank = 2");
}

#[test]
fn detectors_with_other_branches_are_refused_with_a_reason() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(BRANCHES);
    let run = sandbox.run("run");
    sandbox.pipeline_into(&run, &["--until", "train"]).expect_code(0);
    let mut export = program("candling-export");
    export.arg("--run-dir").arg(run.path()).args(["--format", "onnx", "--out"]).arg(sandbox.path().join("model.onnx"));
    let message = output_of(&mut export).expect_code(artifacts::stage::exit::USAGE.into()).stderr;
    assert!(message.contains("only those whose verdict is that of `vit` or a ResNet"), "{message}");
    assert!(message.contains("frequency: its statistics") && message.contains("--format hf"), "{message}");
}
