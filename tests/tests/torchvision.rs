//! Checks that torchvision loads Candling's checkpoints and computes the same logits.

use std::path::Path;
use std::process::Command;

use artifacts::shard::ShardSet;
use artifacts::{Split, names, predictions};
use pipeline_tests::{Sandbox, TINY, output_of};

#[test]
fn checkpoint_gives_same_logits_in_torchvision() {
    let Some(python) = testing::peer_python() else { return };
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(&TINY.replace("resnet18", "resnet50"));
    let run = sandbox.run("first");
    sandbox.pipeline_into(&run, &["--until", "evaluate"]).expect_code(0);
    let predictions = predictions::read(&run.evaluate().join(names::PREDICTIONS)).unwrap();
    let shards = ShardSet::open(&run.ingest()).unwrap().split(Split::Test).unwrap();
    assert_eq!(predictions.len(), shards.len());
    let pixels: Vec<u8> = (0..shards.len()).flat_map(|row| shards.pixels(row)).copied().collect();
    let file = sandbox.path().join("pixels");
    std::fs::write(&file, pixels).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/torchvision_logits.py");
    let mut peer = Command::new(python);
    peer.arg(script).arg(run.train_run(0).join("best")).arg(&file).arg(shards.size()[0].to_string());
    let output = output_of(&mut peer).expect_code(0);
    let logits: Vec<[f32; 2]> = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(logits.len(), predictions.len());
    for (theirs, ours) in logits.iter().zip(&predictions) {
        for (theirs, ours) in theirs.iter().zip([ours.logit_real, ours.logit_fake]) {
            assert!((theirs - ours).abs() <= 1e-4 * theirs.abs().max(1.0), "{theirs} and {ours}");
        }
    }
}
