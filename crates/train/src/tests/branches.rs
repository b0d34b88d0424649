//! Trainings of a detector of branches.

use std::fs;

use artifacts::shard::Shards;
use artifacts::{Split, names, predictions};
use branches::{BranchName, ModelConfig};

use super::{assert_same_result, run_to_end, run_until};
use crate::config::Config;
use crate::images::used_rows;
use crate::testing;

const SPLITS: [(Split, usize); 2] = [(Split::Train, 20), (Split::Val, 6)];

/// A configuration with three steps per epoch.
fn config(epochs: usize) -> Config {
    let mut model =
        ModelConfig { branches: vec![BranchName::Frequency, BranchName::Patches], ..ModelConfig::default() };
    model.patches.side = 32;
    model.patches.count = 2;
    model.views.train = 1;
    model.views.augment.flip = true;
    model.fusion.feature_dropout = 0.2;
    Config { model, batch: 8, ..super::config(epochs) }
}

#[test]
fn interrupted_training_of_branches_gives_same_result() {
    let [whole, broken] = [(); 2].map(|()| testing::ingested_with_files(&SPLITS));
    run_to_end(&whole, &config(2));
    for step in [2, 5] {
        run_until(&broken, &config(2), |taken| taken == step).unwrap_err();
    }
    let written =
        || fs::metadata(broken.dir().train_run(0).join(names::HELD_OUT)).and_then(|file| file.modified()).unwrap();
    let before = written();
    run_to_end(&broken, &config(2));
    assert_eq!(written(), before, "the folds of held-out generators are not trained again");
    assert_same_result(&broken.dir().train_run(0), &whole.dir().train_run(0));
    let held_out = predictions::read(&whole.dir().train_run(0).join(names::HELD_OUT)).unwrap();
    // Two generators, so there are two folds; each image is left out once.
    assert_eq!(held_out.len(), 20);
}

#[test]
fn training_of_branches_that_does_not_fit_is_found_before_its_first_step() {
    super::disk_space::assert_estimate_is_close(&config(2), || testing::ingested_with_files(&SPLITS));
}

#[test]
fn more_epochs_are_another_training_if_the_learning_rate_falls() {
    let run = testing::ingested_with_files(&SPLITS);
    run_to_end(&run, &config(1));
    run_to_end(&run, &config(2));
    let fresh = testing::ingested_with_files(&SPLITS);
    run_to_end(&fresh, &config(2));
    assert_same_result(&run.dir().train_run(0), &fresh.dir().train_run(0));
}

#[test]
fn leaves_out_generators_and_rejects_unknown_ones() {
    let run = testing::ingested_with_files(&SPLITS);
    let without = |name: &str| Config { leave_out: vec![name.to_owned()], ..config(1) };
    let error = run_until(&run, &without("gan-z"), |_| false).unwrap_err().to_string();
    assert!(error.contains("gan-z") && error.contains("gan-0, gan-1"), "{error}");
    run_to_end(&run, &without("gan-1"));
    let held_out = predictions::read(&run.dir().train_run(0).join(names::HELD_OUT)).unwrap();
    assert!(held_out.is_empty(), "one generator cannot be held out");
}

#[test]
fn few_images_of_a_generator_are_trained_on_and_none_validates() {
    let run = testing::ingested_with_files(&SPLITS);
    let rows = |split: Split, few: &[(&str, usize)]| {
        let shards = Shards::open(&run.dir().ingest(), split).unwrap();
        let few_shot = few.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let config = Config { few_shot, ..config(1) };
        let rows = used_rows(&shards, &config).unwrap();
        rows.iter().filter(|&&row| shards.sample(row).generator == "gan-1").count()
    };
    let all = [Split::Train, Split::Val].map(|split| rows(split, &[]));
    assert!(all[0] > 2 && all[1] > 0, "{all:?}");
    for count in [0, 2] {
        assert_eq!([Split::Train, Split::Val].map(|split| rows(split, &[("gan-1", count)])), [count, 0]);
    }
    assert_eq!(rows(Split::Train, &[("gan-1", 1000)]), all[0]);
}
