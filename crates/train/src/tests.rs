//! Whole trainings of a few steps: exact resuming, and the folders of complete, replaced and damaged runs.

mod branches;
mod disk_space;
mod options;
mod processes;
mod weights;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use ::branches::{BranchName, ModelConfig};
use artifacts::schema::Epoch;
use artifacts::stage::{Failure, Stage, exit};
use artifacts::{Code, Manifest, Split, names};
use exchange::{Alone, Exchange};
use model::device::DeviceChoice;
use model::weights::Source;

use crate::config::{Augment, Config, Jpeg};
use crate::disk_space::free_space;
use crate::stage::{Train, TrainingRequest, train_stale_runs};
use crate::testing::{self, TestRun};

const SPLITS: [(Split, usize); 2] = [(Split::Train, 10), (Split::Val, 6)];

/// A configuration with two steps per epoch, of 5 images each. The network is the smallest ResNet.
fn config(epochs: usize) -> Config {
    Config {
        model: ModelConfig { branches: vec![BranchName::Resnet18], ..ModelConfig::default() },
        weights: Source::None,
        epochs,
        batch: 5,
        learning_rate: Some(1e-3),
        seed: 7,
        device: DeviceChoice::Cpu,
        save_minutes: 0,
        ..Config::default()
    }
}

/// A configuration with augmentation and three steps per epoch, of 4, 4 and 2 images.
fn augmented(epochs: usize) -> Config {
    let augment =
        Augment { flip: true, jpeg: Jpeg { probability: 0.5, quality: [60, 90], times: [1, 1] }, ..Augment::default() };
    Config { augment, batch: 4, ..config(epochs) }
}

/// The same configuration with the network of the baseline, whose blocks have three convolutions instead of two.
fn with_resnet50(config: Config) -> Config {
    Config { model: ModelConfig::default(), ..config }
}

fn run_until(run: &TestRun, config: &Config, stop: impl Fn(u64) -> bool) -> Result<(), Failure> {
    run_as(run, config, &Code::current(Train::VERSION).unwrap(), false, stop)
}

fn run_as(run: &TestRun, config: &Config, code: &Code, force: bool, stop: impl Fn(u64) -> bool) -> Result<(), Failure> {
    let run = run.dir();
    let inputs = Train::inputs(&run, config)?;
    let stop = &stop;
    let free_space = &free_space;
    let exchange: Rc<dyn Exchange> = Rc::new(Alone);
    let exchange = &exchange;
    train_stale_runs(&TrainingRequest { run: &run, config, inputs: &inputs, code, force, exchange, stop, free_space })
}

fn force(run: &TestRun, config: &Config) {
    run_as(run, config, &Code::current(Train::VERSION).unwrap(), true, |_| false).unwrap();
}

/// Trains to the end. Returns the number of training steps plus the number of validation batches.
fn steps(run: &TestRun, config: &Config, code: &Code, force: bool) -> u64 {
    let steps = Cell::new(0);
    let count = |_| {
        steps.set(steps.get() + 1);
        false
    };
    run_as(run, config, code, force, count).unwrap();
    steps.get()
}

fn another_version() -> Code {
    Code { version: Train::VERSION + 1, ..Code::current(Train::VERSION).unwrap() }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, copied) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).unwrap();
        }
    }
}

/// The sorted names of all folders in the folder of the runs.
fn folders(run: &TestRun) -> Vec<String> {
    let entries = fs::read_dir(run.dir().train()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn run_to_end(run: &TestRun, config: &Config) {
    run_until(run, config, |_| false).unwrap();
}

/// The content of all files of both checkpoints.
fn checkpoints(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for checkpoint in ["best", "last"] {
        for entry in fs::read_dir(run.join(checkpoint)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{checkpoint}/{}", entry.file_name().to_string_lossy());
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

fn history(run: &Path) -> Vec<Epoch> {
    let untimed = |line: &str| {
        let row: Epoch = serde_json::from_str(line).unwrap();
        assert!(row.train_seconds > 0.0 && row.val_seconds > 0.0 && row.images_per_second > 0.0);
        Epoch { train_seconds: 0.0, val_seconds: 0.0, images_per_second: 0.0, ..row }
    };
    fs::read_to_string(run.join(names::HISTORY)).unwrap().lines().map(untimed).collect()
}

#[track_caller]
fn assert_same_result(run: &Path, reference: &Path) {
    let (found, expected) = (checkpoints(run), checkpoints(reference));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert_eq!(expected.len(), 8);
    for (name, content) in &found {
        assert!(*content == expected[name], "{name} differs");
    }
    assert_eq!(history(run), history(reference));
    let events = |run: &Path| {
        let is_events = |name: &str| name.starts_with("events.out.tfevents.");
        let mut found = fs::read_dir(run).unwrap().map(Result::unwrap);
        found.find(|entry| is_events(&entry.file_name().to_string_lossy())).unwrap().metadata().unwrap().len()
    };
    assert_eq!(events(run), events(reference));
    let listed = |run: &Path| Manifest::require(run, names::TRAIN).unwrap().outputs.len();
    assert_eq!(listed(run), listed(reference));
}

#[test]
fn interrupted_training_gives_same_result() {
    let [one_epoch, two_epochs] = [1, 2].map(|epochs| with_resnet50(augmented(epochs)));
    let [whole, broken, extended] = [(); 3].map(|()| testing::ingested(&SPLITS));
    run_to_end(&whole, &two_epochs);

    // Interrupt in the middle of an epoch, between its last step and its validation, and in the middle of the next.
    for step in [2, 3, 5] {
        let failure = run_until(&broken, &two_epochs, |taken| taken == step).unwrap_err();
        assert_eq!(failure.code(), exit::INTERRUPTED);
        assert!(Manifest::read(&broken.dir().train_run(0)).unwrap().is_none());
    }
    // Saving fails, as on a full disk. The earlier checkpoint stays, and the training resumes from it.
    let run = broken.dir().train_run(0);
    let (before, obstacle) = (fs::read(run.join("last/model.safetensors")).unwrap(), run.join(".last.partial"));
    fs::write(&obstacle, "").unwrap();
    assert_eq!(run_until(&broken, &two_epochs, |_| false).unwrap_err().code(), exit::FAILED);
    assert!(fs::read(run.join("last/model.safetensors")).unwrap() == before);
    fs::remove_file(&obstacle).unwrap();
    run_to_end(&broken, &two_epochs);
    assert_same_result(&run, &whole.dir().train_run(0));

    // A complete training of one epoch is extended to two.
    run_to_end(&extended, &one_epoch);
    run_to_end(&extended, &two_epochs);
    assert_same_result(&extended.dir().train_run(0), &whole.dir().train_run(0));

    let mut seen = history(&whole.dir().train_run(0)).into_iter();
    let (first, second) = (seen.next().unwrap(), seen.next().unwrap());
    assert_eq!((first.epoch, first.step, second.epoch, second.step), (1, 3, 2, 6));
    assert!(first.best && first.train_loss != second.train_loss);
}

#[test]
fn result_does_not_depend_on_threads() {
    let [one, two, five] = [1, 2, 5].map(|threads| {
        let run = testing::ingested(&SPLITS);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run_to_end(&run, &with_resnet50(augmented(1))));
        run
    });
    assert_same_result(&two.dir().train_run(0), &one.dir().train_run(0));
    assert_same_result(&five.dir().train_run(0), &one.dir().train_run(0));
}

#[test]
fn raising_runs_keeps_finished_runs() {
    let run = testing::ingested(&SPLITS);
    let one = Config { batch: 10, ..config(1) };
    run_to_end(&run, &one);
    let manifest = |k| fs::read(run.dir().train_run(k).join(names::MANIFEST)).unwrap();
    let first = manifest(0);
    run_to_end(&run, &Config { runs: 2, ..one.clone() });
    assert_eq!(manifest(0), first);
    let seed = |k| Manifest::require(&run.dir().train_run(k), names::TRAIN).unwrap().config["seed"].clone();
    assert_eq!((seed(0), seed(1)), (7.into(), 8.into()));
    let [a, b] = [0, 1].map(|k| checkpoints(&run.dir().train_run(k)));
    assert!(a["last/model.safetensors"] != b["last/model.safetensors"]);

    // A second run with other settings is set aside, because evaluation would average it with the first.
    run_to_end(&run, &Config { learning_rate: Some(2e-3), ..one.clone() });
    assert!(!run.dir().train_run(1).exists());
    assert!(run.dir().train().join(".run-1.aside").join(names::MANIFEST).exists());
}

#[test]
fn complete_run_stays_until_successor_is_complete() {
    let run = testing::ingested(&SPLITS);
    let target = run.dir().train_run(0);
    run_to_end(&run, &config(1));
    let former = checkpoints(&target);
    let other = Config { learning_rate: Some(2e-3), ..config(1) };
    for step in [1, 2] {
        run_until(&run, &other, |taken| taken == step).unwrap_err();
        assert!(checkpoints(&target) == former);
        assert!(Manifest::require(&target, names::TRAIN).unwrap().find_damage(&target).is_none());
    }
    run_to_end(&run, &other);
    assert!(checkpoints(&target) != former);
    assert_eq!(Manifest::require(&target, names::TRAIN).unwrap().config["learning_rate"], 2e-3);
    // The former run is kept as a backup, because its successor does not continue it.
    assert_eq!(folders(&run), [".run-0.aside", "run-0"]);
    assert!(checkpoints(&run.dir().train().join(".run-0.aside")) == former);
}

#[test]
fn replaced_run_is_kept_unless_successor_continues_it() {
    let run = testing::ingested(&SPLITS);
    run_to_end(&run, &config(1));
    force(&run, &config(1));
    run_to_end(&run, &config(2));
    assert_eq!(folders(&run), ["run-0"]);

    let other_version = another_version();
    run_as(&run, &config(2), &other_version, false, |_| false).unwrap();
    assert_eq!(folders(&run), [".run-0.aside", "run-0"]);
    run_as(&run, &config(1), &other_version, false, |_| false).unwrap();
    assert_eq!(folders(&run), [".run-0.aside", ".run-0.aside-1", "run-0"]);
}

#[test]
fn run_with_damaged_manifest_is_completed_or_retrained_if_forced() {
    let run = testing::ingested(&SPLITS);
    let target = run.dir().train_run(0);
    run_to_end(&run, &config(1));
    let made = checkpoints(&target);
    for forced in [false, true] {
        fs::write(target.join(names::MANIFEST), "").unwrap();
        if forced {
            force(&run, &config(1))
        } else {
            run_to_end(&run, &config(1))
        }
        assert!(Manifest::require(&target, names::TRAIN).unwrap().find_damage(&target).is_none());
        assert!(checkpoints(&target) == made);
    }
    assert_eq!(folders(&run), [".run-0.aside", "run-0"]);
}

#[test]
fn damaged_training_is_set_aside_only_if_forced() {
    let run = testing::ingested(&SPLITS);
    let target = run.dir().train_run(0);
    for (k, (file, length)) in
        [(names::TRAINING_STATE, 100), (names::TRAINING_STATE, 100_000), (names::WEIGHTS, 100_000)]
            .into_iter()
            .enumerate()
    {
        run_until(&run, &config(1), |step| step == 1).unwrap_err();
        let file = fs::File::options().write(true).open(target.join("last").join(file)).unwrap();
        file.set_len(length).unwrap();
        let failure = run_until(&run, &config(1), |_| false).unwrap_err();
        assert_eq!(failure.code(), exit::INPUT);
        assert!(failure.chain().contains("--force"), "{}", failure.chain());
        assert_eq!(folders(&run).len(), k + 1);
        force(&run, &config(1));
        assert_eq!(folders(&run).len(), k + 2);
        Manifest::require(&target, names::TRAIN).unwrap();
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn read_failure_does_not_set_training_aside() {
    let run = testing::ingested(&SPLITS);
    run_until(&run, &config(1), |step| step == 1).unwrap_err();
    let weights = run.dir().train_run(0).join("last").join(names::WEIGHTS);
    let moved = weights.with_extension("moved");
    fs::rename(&weights, &moved).unwrap();
    // Reading the weights fails, as on a failing disk.
    fs::create_dir(&weights).unwrap();
    for force in [false, true] {
        let failure = run_as(&run, &config(1), &Code::current(Train::VERSION).unwrap(), force, |_| false).unwrap_err();
        assert_eq!(failure.code(), exit::FAILED, "{}", failure.chain());
        assert_eq!(folders(&run), ["run-0"]);
    }
    fs::remove_dir(&weights).unwrap();
    fs::rename(&moved, &weights).unwrap();
    assert_eq!(
        steps(&run, &config(1), &Code::current(Train::VERSION).unwrap(), true),
        2,
        "the last step and one validation batch"
    );
}

#[test]
fn interrupted_successor_is_kept_when_another_training_completes() {
    let run = testing::ingested(&SPLITS);
    run_to_end(&run, &config(1));
    run_until(&run, &Config { learning_rate: Some(2e-3), ..config(1) }, |step| step == 1).unwrap_err();
    fs::remove_dir_all(run.dir().train_run(0)).unwrap();
    run_to_end(&run, &config(1));
    assert_eq!(folders(&run), [".run-0.aside", "run-0"]);
    assert!(run.dir().train().join(".run-0.aside").join("last").exists());
}

#[test]
fn replaced_run_at_successor_path_is_not_published() {
    let run = testing::ingested(&SPLITS);
    let (target, next) = (run.dir().train_run(0), run.dir().train().join(".run-0.next"));
    let settings = [config(1), Config { learning_rate: Some(2e-3), ..config(1) }];
    let (code, other_version) = (Code::current(Train::VERSION).unwrap(), another_version());
    run_as(&run, &settings[0], &code, false, |_| false).unwrap();
    // The process was killed between the exchange of the two names and the removal of the replaced run.
    copy(&target, &next);
    run_as(&run, &settings[0], &other_version, true, |_| false).unwrap();
    assert_eq!(folders(&run), [".run-0.aside", ".run-0.aside-1", "run-0"]);
    copy(&run.dir().train().join(".run-0.aside"), &next);
    assert!(steps(&run, &settings[0], &other_version, true) > 0);
    assert_eq!(Manifest::require(&target, names::TRAIN).unwrap().code, other_version);

    // The process was killed before the exchange. The complete successor is published.
    let wanted = run.dir().train().join("wanted");
    copy(&target, &wanted);
    run_as(&run, &settings[1], &other_version, false, |_| false).unwrap();
    fs::rename(&wanted, &next).unwrap();
    assert_eq!(steps(&run, &settings[0], &other_version, false), 0);
    assert_eq!(Manifest::require(&target, names::TRAIN).unwrap().config["learning_rate"], 1e-3);
    assert!(!next.exists());
}

#[test]
fn finished_training_of_another_version_is_not_published() {
    let run = testing::ingested(&SPLITS);
    run_to_end(&run, &config(1));
    fs::write(run.dir().train_run(0).join(names::MANIFEST), "").unwrap();
    assert!(steps(&run, &config(1), &another_version(), false) > 0);
    assert_eq!(folders(&run), [".run-0.aside", "run-0"]);
}

#[cfg(unix)]
#[test]
fn failed_copy_of_complete_run_leaves_nothing() {
    let run = testing::ingested(&SPLITS);
    let target = run.dir().train_run(0);
    run_to_end(&run, &config(1));
    // A dangling link makes the copy fail.
    let nowhere = target.join("best").join("nowhere");
    std::os::unix::fs::symlink("absent", &nowhere).unwrap();
    run_until(&run, &config(2), |_| false).unwrap_err();
    assert!(!run.dir().train().join(".run-0.next").join("best").exists());
    fs::remove_file(&nowhere).unwrap();
    assert_eq!(
        steps(&run, &config(2), &Code::current(Train::VERSION).unwrap(), false),
        3,
        "two steps and one validation batch"
    );
    assert_eq!(folders(&run), ["run-0"]);
}

#[test]
fn infinite_loss_names_step_and_last_good_checkpoint() {
    let run = testing::ingested(&SPLITS);
    let diverging = Config { learning_rate: Some(1e18), ..config(1) };
    run_until(&run, &diverging, |step| step == 1).unwrap_err();
    let last = run.dir().train_run(0).join("last");
    let good = checkpoint_bytes(&last);
    let failure = run_until(&run, &diverging, |_| false).unwrap_err();
    let message = failure.chain();
    assert_eq!(failure.code(), exit::FAILED);
    assert!(message.contains("step 2 (epoch 1)") && message.contains(&last.display().to_string()), "{message}");
    assert!(checkpoint_bytes(&last) == good);
}

fn checkpoint_bytes(checkpoint: &Path) -> Vec<u8> {
    fs::read(checkpoint.join(names::WEIGHTS)).unwrap()
}

#[test]
fn rejects_unusable_data_and_missing_weights() {
    let failure = |splits: &[(Split, usize)], config: &Config| {
        run_until(&testing::ingested(splits), config, |_| false).unwrap_err()
    };
    let no_val = failure(&[(Split::Train, 4)], &config(1));
    assert_eq!(no_val.code(), exit::INPUT);
    assert!(no_val.chain().contains("val split") && no_val.chain().contains("val_fraction"), "{}", no_val.chain());

    let single = failure(&[(Split::Train, 1), (Split::Val, 2)], &config(1));
    assert_eq!(single.code(), exit::INPUT);

    let weights = Source::Path("absent.safetensors".into());
    let absent = failure(&SPLITS, &Config { weights, ..config(1) });
    assert_eq!(absent.code(), exit::INPUT);
    assert!(absent.chain().contains("absent.safetensors"), "{}", absent.chain());
}
