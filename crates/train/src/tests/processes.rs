//! Several processes that train together, with threads in their place.

use exchange::Threads;

use super::*;
use crate::orders::{Order, send};
use crate::processes::follow_orders;

/// Trains with `world` processes. `stop` interrupts the last of them.
fn train_in(world: usize, run: &TestRun, config: &Config, stop: impl Fn(u64) -> bool + Sync) -> Result<(), Failure> {
    let (dir, code) = (run.dir(), Code::current(Train::VERSION).unwrap());
    let inputs = Train::inputs(&dir, config).unwrap();
    let results = Threads::run(world, |threads| {
        let exchange: Rc<dyn Exchange> = Rc::new(threads);
        let stops = exchange.rank() + 1 == world;
        let stop = |step| stops && stop(step);
        if !exchange.is_first() {
            return follow_orders(&exchange, &stop);
        }
        let request = TrainingRequest {
            run: &dir,
            config,
            inputs: &inputs,
            code: &code,
            force: false,
            exchange: &exchange,
            stop: &stop,
            free_space: &free_space,
        };
        let result = train_stale_runs(&request);
        send(&*exchange, &Order::End).and(result)
    });
    results.into_iter().collect()
}

/// A configuration with batches of 4 images and all options that keep a state.
fn options(epochs: usize) -> Config {
    Config { ema: 0.9, clip_norm: 1.0, label_smoothing: 0.1, weight_decay: 0.01, ..augmented(epochs) }
}

/// A run whose batches have 4 images each. A slice needs 2 images for statistics of its own.
fn whole_batches() -> TestRun {
    testing::ingested(&[(Split::Train, 12), (Split::Val, 6)])
}

fn losses(run: &TestRun) -> Vec<f64> {
    history(&run.dir().train_run(0)).iter().flat_map(|row| [row.train_loss, row.val_loss]).collect()
}

fn processes_in_manifest(run: &TestRun) -> serde_json::Value {
    Manifest::require(&run.dir().train_run(0), names::TRAIN).unwrap().summary["processes"].clone()
}

#[test]
fn synchronised_processes_train_like_one() {
    // At a higher rate, Adam amplifies the differences of rounding within a few steps.
    let config = Config { sync_batch_norm: true, learning_rate: Some(1e-5), ..options(2) };
    let alone = testing::ingested(&SPLITS);
    run_to_end(&alone, &config);
    // With three processes, the last batch of an epoch has fewer images than there are processes.
    for world in [2, 3] {
        let run = testing::ingested(&SPLITS);
        train_in(world, &run, &config, |_| false).unwrap();
        for (found, expected) in losses(&run).into_iter().zip(losses(&alone)) {
            assert!((found - expected).abs() < 1e-4, "{world} processes: {:?} {:?}", losses(&run), losses(&alone));
        }
        assert_eq!(processes_in_manifest(&run), serde_json::json!([world]));
    }
}

#[test]
fn slices_with_their_own_statistics_train_differently() {
    let runs = [1, 2].map(|world| {
        let run = whole_batches();
        train_in(world, &run, &options(1), |_| false).unwrap();
        losses(&run)[0]
    });
    assert!((runs[0] - runs[1]).abs() > 1e-4, "{runs:?}");
}

#[test]
fn the_same_number_of_processes_gives_the_same_bits_also_after_an_interruption() {
    let config = Config { accumulate: 2, ..options(2) };
    let whole = whole_batches();
    train_in(2, &whole, &config, |_| false).unwrap();
    let resumed = whole_batches();
    for step in [1, 3] {
        let failure = train_in(2, &resumed, &config, |now| now == step).unwrap_err();
        assert_eq!(failure.code(), exit::INTERRUPTED);
    }
    train_in(2, &resumed, &config, |_| false).unwrap();
    assert_same_result(&resumed.dir().train_run(0), &whole.dir().train_run(0));
}

#[test]
fn another_number_of_processes_resumes_and_is_recorded() {
    let run = testing::ingested(&SPLITS);
    let config = Config { sync_batch_norm: true, ..options(2) };
    train_in(2, &run, &config, |step| step == 2).unwrap_err();
    train_in(1, &run, &config, |step| step == 4).unwrap_err();
    train_in(3, &run, &config, |_| false).unwrap();
    assert_eq!(processes_in_manifest(&run), serde_json::json!([2, 1, 3]));
    assert_eq!(history(&run.dir().train_run(0)).len(), 2);
}

/// A run with files, and a detector with this branch.
fn detector(branch: BranchName) -> (TestRun, Config) {
    let model = ModelConfig { branches: vec![branch], ..ModelConfig::default() };
    (testing::ingested_with_files(&SPLITS), Config { model, ..config(1) })
}

#[test]
fn processes_compute_features_together() {
    let (alone, config) = detector(BranchName::Frequency);
    run_to_end(&alone, &config);
    let (together, _) = detector(BranchName::Frequency);
    train_in(3, &together, &config, |_| false).unwrap();
    assert_same_result(&together.dir().train_run(0), &alone.dir().train_run(0));
    assert!(processes_in_manifest(&together).is_null());
}

#[test]
fn an_interruption_of_one_process_ends_all_and_keeps_features() {
    let (run, config) = detector(BranchName::Frequency);
    let failure = train_in(2, &run, &config, |_| true).unwrap_err();
    assert_eq!(failure.code(), exit::INTERRUPTED);
    train_in(1, &run, &config, |_| false).unwrap();
}

#[test]
fn one_process_trains_networks_of_a_detector_of_branches() {
    let (run, config) = detector(BranchName::Patches);
    let dir = run.dir();
    let failures = Threads::run(2, |threads| {
        let exchange: Rc<dyn Exchange> = Rc::new(threads);
        crate::stage::Trainer::open(&dir, &config, &exchange, &|_| false).err().map(|failure| failure.chain())
    });
    for failure in failures {
        assert!(failure.unwrap().contains("only one process trains a detector with a branch that is a network"));
    }
}
