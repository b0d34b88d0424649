//! Trainings with the options of the optimiser, the loss and the choice of the best epoch.

use super::*;
use crate::balance::{BalanceBy, ClassBalance};
use crate::config::{Criterion, Schedule};

fn every_augmentation() -> Augment {
    let mut augment = Augment { flip: true, ..Augment::default() };
    let Augment { crop, rotate, colour, blur, noise, cutout, webp, jpeg, .. } = &mut augment;
    for probability in [
        &mut crop.probability,
        &mut rotate.probability,
        &mut colour.probability,
        &mut blur.probability,
        &mut noise.probability,
        &mut cutout.probability,
        &mut webp.probability,
        &mut jpeg.probability,
    ] {
        *probability = 0.5;
    }
    jpeg.times = [1, 3];
    augment
}

/// All options at once, with five batches per epoch in steps of 2, 2 and 1.
fn all_options(epochs: usize) -> Config {
    Config {
        batch: 2,
        schedule: Some(Schedule::Cosine),
        warmup_epochs: 1.0,
        weight_decay: 0.1,
        clip_norm: 0.5,
        accumulate: 2,
        label_smoothing: 0.1,
        class_balance: ClassBalance::Weights,
        balance_by: BalanceBy::Generator,
        ema: 0.8,
        early_stop: 5,
        select: Some(Criterion::Loss),
        augment: every_augmentation(),
        ..augmented(epochs)
    }
}

#[test]
fn interrupted_training_with_all_options_gives_same_result() {
    for balance in [ClassBalance::Weights, ClassBalance::Sampling] {
        let [whole, broken] = [(); 2].map(|()| testing::ingested(&SPLITS));
        let config = Config { class_balance: balance, ..all_options(2) };
        run_to_end(&whole, &config);
        for step in [2, 3, 4] {
            let failure = run_until(&broken, &config, |taken| taken == step).unwrap_err();
            assert_eq!(failure.code(), exit::INTERRUPTED);
        }
        run_to_end(&broken, &config);
        assert_same_result(&broken.dir().train_run(0), &whole.dir().train_run(0));
        let steps: Vec<u64> = history(&whole.dir().train_run(0)).iter().map(|row| row.step).collect();
        assert_eq!(steps, [3, 6]);
    }
}

#[test]
fn result_with_all_options_does_not_depend_on_threads() {
    let [one, five] = [1, 5].map(|threads| {
        let run = testing::ingested(&SPLITS);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run_to_end(&run, &all_options(1)));
        run
    });
    assert_same_result(&five.dir().train_run(0), &one.dir().train_run(0));
}

/// Each option changes the training, and none is ignored.
#[test]
fn each_option_changes_the_weights() {
    let weights = |config: Config| {
        let run = testing::ingested(&[(Split::Train, 11), (Split::Val, 4)]);
        run_to_end(&run, &config);
        fs::read(run.dir().train_run(0).join("last/model.safetensors")).unwrap()
    };
    let base = Config { batch: 3, ..config(1) };
    let default = weights(base.clone());
    assert!(default == weights(base.clone()));
    for changed in [
        Config { warmup_epochs: 1.0, ..base.clone() },
        Config { schedule: Some(Schedule::Cosine), ..base.clone() },
        Config { weight_decay: 1.0, ..base.clone() },
        Config { clip_norm: 1e-3, ..base.clone() },
        Config { accumulate: 2, ..base.clone() },
        Config { label_smoothing: 0.2, ..base.clone() },
        Config { class_balance: ClassBalance::Weights, ..base.clone() },
        Config { class_balance: ClassBalance::Sampling, ..base.clone() },
        Config { ema: 0.5, ..base.clone() },
    ] {
        assert!(default != weights(changed.clone()), "{changed:?}");
    }
}

#[test]
fn gradients_of_two_batches_equal_those_of_one_large_batch() {
    // Batch normalisation differs between batches, so only the number of steps and the use of all images are compared.
    let run = testing::ingested(&SPLITS);
    run_to_end(&run, &Config { accumulate: 100, batch: 2, ..config(2) });
    let rows = history(&run.dir().train_run(0));
    assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn stops_early_and_stays_complete() {
    let run = testing::ingested(&SPLITS);
    // Tiny steps do not change the accuracy, and a growing loss cannot win.
    let config = Config { early_stop: 2, learning_rate: Some(1e-30), ..config(9) };
    run_to_end(&run, &config);
    let rows = history(&run.dir().train_run(0));
    let best = rows.iter().rfind(|row| row.best).unwrap().epoch;
    assert_eq!(rows.len(), best + 2);
    assert!(rows.len() < 9);
    let manifest = Manifest::require(&run.dir().train_run(0), names::TRAIN).unwrap();
    assert_eq!((&manifest.summary["epochs"], &manifest.summary["best_by"]), (&rows.len().into(), &"accuracy".into()));
    // The run is complete: nothing is trained again, also with more epochs.
    let code = Code::current(Train::VERSION).unwrap();
    assert_eq!(steps(&run, &config, &code, false), 0);
    assert_eq!(steps(&run, &Config { epochs: 12, ..config }, &code, false), 0);
    assert_eq!(history(&run.dir().train_run(0)).len(), rows.len());
}

#[test]
fn best_is_chosen_by_the_configured_metric() {
    let run = testing::ingested(&SPLITS);
    run_to_end(&run, &Config { select: Some(Criterion::Loss), ..config(3) });
    let rows = history(&run.dir().train_run(0));
    let mut lowest = f64::INFINITY;
    for row in rows {
        assert_eq!(row.best, row.val_loss < lowest, "{row:?}");
        lowest = lowest.min(row.val_loss);
    }
}

/// `model.safetensors` has the average, and the training state the weights that training continues from.
#[test]
fn checkpoints_have_the_moving_average() {
    let run = testing::ingested(&SPLITS);
    run_to_end(&run, &Config { ema: 0.9, ..config(1) });
    let last = artifacts::Checkpoint::last(&run.dir().train_run(0));
    let read = |path: &Path, name: &str| {
        let bytes = fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        file.tensor(name).unwrap().data().to_vec()
    };
    let average = read(&last.weights(), "fc.weight");
    let own = read(&last.training_state(), "own.fc.weight");
    assert_eq!(average.len(), own.len());
    assert_ne!(average, own);
}
