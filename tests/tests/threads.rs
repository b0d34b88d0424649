//! Shards, checkpoints and metrics do not depend on the number of threads.

use artifacts::Manifest;
use pipeline_tests::{Sandbox, complete_manifest, output_of};

#[test]
fn artifacts_do_not_depend_on_number_of_threads() {
    let sandbox = Sandbox::new();
    let artifacts: Vec<[Manifest; 3]> = ["1", "2", "5"]
        .into_iter()
        .map(|threads| {
            let run = sandbox.run(threads);
            for stage in ["ingest", "train", "evaluate"] {
                output_of(sandbox.stage(stage, &run).env("RAYON_NUM_THREADS", threads)).expect_code(0);
            }
            [run.ingest(), run.train_run(0), run.evaluate()].map(|dir| complete_manifest(&dir))
        })
        .collect();
    for other in &artifacts[1..] {
        for (one, other) in artifacts[0].iter().zip(other) {
            let changed: Vec<_> = one
                .outputs
                .iter()
                .filter(|(name, file)| !records_times(name) && other.outputs.get(*name) != Some(file))
                .map(|(name, _)| name)
                .collect();
            assert!(changed.is_empty(), "{}: {changed:?} depend on the number of threads", one.stage);
        }
    }
}

/// Returns whether a file records times, which differ from run to run.
fn records_times(name: &str) -> bool {
    name == artifacts::names::HISTORY || name.starts_with("events.out.tfevents")
}
