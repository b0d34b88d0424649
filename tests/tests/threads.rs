//! The number of threads changes nothing: equal shards, equal checkpoints, equal metrics.

use artifacts::Manifest;
use pipeline_tests::{Bench, complete_manifest, outcome};

#[test]
fn any_number_of_threads_gives_equal_artifacts() {
    let bench = Bench::new();
    let artifacts: Vec<[Manifest; 3]> = ["1", "2", "5"]
        .into_iter()
        .map(|threads| {
            let run = bench.run(threads);
            for stage in ["ingest", "train", "evaluate"] {
                outcome(bench.stage(stage, &run).env("RAYON_NUM_THREADS", threads)).expect_code(0);
            }
            [run.ingest(), run.train_run(0), run.evaluate()].map(|dir| complete_manifest(&dir))
        })
        .collect();
    for other in &artifacts[1..] {
        for (one, other) in artifacts[0].iter().zip(other) {
            let changed: Vec<_> = one
                .outputs
                .iter()
                .filter(|(name, file)| !is_timed(name) && other.outputs.get(*name) != Some(file))
                .map(|(name, _)| name)
                .collect();
            assert!(changed.is_empty(), "{}: {changed:?} depend on the number of threads", one.stage);
        }
    }
}

/// Files that record how long something took.
fn is_timed(name: &str) -> bool {
    name == artifacts::names::HISTORY || name.starts_with("events.out.tfevents")
}
