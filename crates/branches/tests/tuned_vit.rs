//! Detectors whose vision transformer is trained.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "tests of the crate vision use the rest")]
#[path = "../../vision/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;

use branches::{
    BranchName, FeatureBatch, Fusion, ModelConfig, Picture, PretrainedFiles, StepOptions, TrainedInputs, Training,
    Tuning, input_cutter,
};
use candle_core::Tensor;
use common::Golden;
use model::device::Device;
use pixels::RgbImage;

const TARGETS: [u8; 6] = [0, 1, 0, 1, 0, 1];

/// A detector with a small transformer, and its inputs for six images.
struct Case {
    config: ModelConfig,
    files: PretrainedFiles,
    inputs: TrainedInputs,
    _folder: tempfile::TempDir,
}

impl Case {
    fn new(tower: &str, tuning: Tuning) -> Case {
        let folder = tempfile::tempdir().unwrap();
        let path = Golden::read(tower).write(folder.path());
        let mut config = ModelConfig { branches: vec![BranchName::Vit], ..ModelConfig::default() };
        config.vit.tuning = tuning;
        config.vit.lora_rank = 2;
        config.vit.learning_rate = 1e-2;
        let stripes = |image: usize| {
            RgbImage::from_fn(70, 66, |x, y| {
                let dark = (x as usize / (1 + image % 2)).is_multiple_of(2);
                let grey = if dark { 60 } else { 190 + (y % 9) as u8 };
                [grey, grey, 128]
            })
        };
        let pictures: Vec<Picture<'_>> =
            (0..6).map(|image| Picture { bytes: (&[][..]).into(), image: stripes(image) }).collect();
        let inputs = input_cutter(&config, Some(&path)).unwrap().of_pictures(&pictures).unwrap();
        let files = PretrainedFiles { vit: Some(path), resnet: None };
        Case { config, files, inputs, _folder: folder }
    }

    fn training(&self, seed: u64) -> Training {
        let fusion = Fusion::new(&self.config, Vec::new()).unwrap();
        Training::new(&self.config, fusion, &self.files, &Device::Cpu, seed).unwrap()
    }

    /// Runs some steps and returns the last loss.
    fn train(&self, training: &mut Training, steps: usize) -> f32 {
        let options = StepOptions { learning_rate: 1e-2, schedule: 1.0, seed: 1 };
        let batch = FeatureBatch::default();
        let step = |_| training.train_step((&batch, &self.inputs), &TARGETS, &[1.0; 6], options).unwrap().loss;
        (0..steps).map(step).last().unwrap()
    }

    fn margins(&self, training: &mut Training) -> Vec<f32> {
        training.margins(&FeatureBatch::default(), &self.inputs).unwrap().fused
    }
}

/// Copies tensors, because training changes them in place.
fn copied(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    tensors.into_iter().map(|(name, tensor)| (name, tensor.copy().unwrap())).collect()
}

fn values(tensors: &BTreeMap<String, Tensor>, name: &str) -> Vec<f32> {
    tensors[name].flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn training_changes_the_transformer_and_lowers_the_loss() {
    for (tower, tuning) in [("clip", Tuning::Lora), ("siglip", Tuning::Full), ("dinov2_registers", Tuning::Lora)] {
        let case = Case::new(tower, tuning);
        let mut training = case.training(1);
        let before = copied(training.tensors().unwrap());
        let later = training.later_bytes();
        let first = case.train(&mut training, 1);
        let bytes =
            |tensors: &BTreeMap<String, Tensor>| tensors.values().map(|t| 4 * t.elem_count() as u64).sum::<u64>();
        assert!(bytes(&before) + later >= bytes(&training.tensors().unwrap()) && training.later_bytes() == 0);
        assert!((first - std::f32::consts::LN_2).abs() < 1e-4, "the first margins are 0: {first}");
        let last = case.train(&mut training, 20);
        assert!(last < 0.5 * first, "{tower}: {first} {last}");
        let after = training.tensors().unwrap();
        let of_tower: Vec<_> = before.keys().filter(|name| name.starts_with("vit.tower.")).collect();
        let changed = of_tower.iter().filter(|name| values(&before, name) != values(&after, name)).count();
        assert!(changed > 0, "{tower}: nothing of {} tensors was trained", of_tower.len());
        let margins = case.margins(&mut training);
        assert!(margins.iter().zip(TARGETS).all(|(margin, target)| (*margin > 0.0) == (target == 1)), "{margins:?}");
    }
}

#[test]
fn resumed_training_continues_with_the_same_bits() {
    let case = Case::new("clip", Tuning::Lora);
    let mut whole = case.training(1);
    case.train(&mut whole, 3);
    let (state, tensors) = (copied(whole.optimiser_state().unwrap()), copied(whole.tensors().unwrap()));
    let mut resumed = case.training(2);
    resumed.restore(&state, &tensors).unwrap();
    assert_eq!(case.margins(&mut whole), case.margins(&mut resumed));
    assert_eq!(case.train(&mut whole, 2), case.train(&mut resumed, 2));
    assert_eq!(case.margins(&mut whole), case.margins(&mut resumed));
    let missing = resumed.restore(&state, &BTreeMap::new()).unwrap_err().to_string();
    assert!(missing.contains("lora_"), "{missing}");
}

#[test]
fn transformer_with_lora_of_rank_zero_is_frozen() {
    let mut config = ModelConfig { branches: vec![BranchName::Vit], ..ModelConfig::default() };
    config.vit.tuning = Tuning::Lora;
    assert_eq!(config.trained_branches().count(), 1);
    config.vit.lora_rank = 0;
    assert_eq!((config.trained_branches().count(), config.frozen_branches().count()), (0, 1));
}
