//! Trainings whose checkpoints do not fit on the disk.

use artifacts::atomic;

use super::*;

/// Starts a training on a disk with `free` bytes, and interrupts it at its first step.
fn start(run: &TestRun, config: &Config, free: Option<u64>) -> Failure {
    let (dir, code) = (run.dir(), Code::current(Train::VERSION).unwrap());
    let inputs = Train::inputs(&dir, config).unwrap();
    let exchange: Rc<dyn Exchange> = Rc::new(Alone);
    let exchange = &exchange;
    let (stop, free_space) = (|step: u64| step > 0, |_: &Path| free);
    let request = TrainingRequest {
        run: &dir,
        config,
        inputs: &inputs,
        code: &code,
        force: false,
        exchange,
        stop: &stop,
        free_space: &free_space,
    };
    train_stale_runs(&request).unwrap_err()
}

#[track_caller]
fn assert_disk_full(failure: &Failure, run: &TestRun) {
    let message = failure.chain();
    assert_eq!(failure.code(), exit::FAILED, "{message}");
    for part in ["free", "space", "--run-dir", &run.dir().train_run(0).display().to_string()] {
        assert!(message.contains(part), "{part} not in {message}");
    }
}

/// Checks that a training starts if the bytes that it will write fit with 30% to spare, and not if they do not fit.
/// `ingested` creates a run folder.
#[track_caller]
pub(super) fn assert_estimate_is_close(config: &Config, ingested: impl Fn() -> TestRun) {
    let (whole, run) = (ingested(), ingested());
    run_to_end(&whole, config);
    let target = whole.dir().train_run(0);
    let written = ["best", "last"].map(|checkpoint| atomic::folder_bytes(&target.join(checkpoint)).unwrap());
    // `best`, `last`, and the one that replaces it.
    let checkpoints = if config.epochs > 1 { 3 } else { 2 };
    let written = checkpoints * written[0].max(written[1]);

    for free in [0, written - 1] {
        assert_disk_full(&start(&run, config, Some(free)), &run);
        let target = run.dir().train_run(0);
        assert!(!target.join("last").exists() && !target.join(names::HELD_OUT).exists());
    }
    let started = start(&run, config, Some((written as f64 * 1.3) as u64));
    assert_eq!(started.code(), exit::INTERRUPTED, "{}", started.chain());
}

#[test]
fn training_that_does_not_fit_is_found_before_its_first_step() {
    for config in [config(1), Config { ema: 0.9, ..config(2) }] {
        assert_estimate_is_close(&config, || testing::ingested(&SPLITS));
    }
}

#[test]
fn resumed_training_needs_no_space_for_what_exists() {
    let run = testing::ingested(&SPLITS);
    // Unknown free space does not hinder a training.
    assert_eq!(start(&run, &config(2), None).code(), exit::INTERRUPTED);
    let last = atomic::folder_bytes(&run.dir().train_run(0).join("last")).unwrap();
    assert_disk_full(&start(&run, &config(2), Some(2 * last - last / 10)), &run);
    let resumed = start(&run, &config(2), Some(2 * last + last / 3));
    assert_eq!(resumed.code(), exit::INTERRUPTED, "{}", resumed.chain());
}
