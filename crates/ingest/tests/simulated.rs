//! Simulated sets are reproducible from the seed and have no shortcuts.

use artifacts::roc_auc;
use artifacts::schema::Verdict;
use ingest::audit::{Observation, audit, near_duplicates};
use pixels::{Limits, decode};
use rayon::prelude::*;
use sources::simulated::{SimulatedImage, SimulatedSet};

fn make(set: &str) -> Vec<SimulatedImage> {
    let set: SimulatedSet = set.parse().unwrap();
    (0..set.len()).into_par_iter().map(|index| set.image(index).unwrap()).collect()
}

#[test]
fn images_depend_on_seed_and_index_alone() {
    let whole = make("train=12,test=6,size=32,seed=5");
    let set: SimulatedSet = "train=12,test=6,size=32,seed=5".parse().unwrap();
    for index in (0..set.len()).rev() {
        assert_eq!(set.image(index).unwrap(), whole[index as usize]);
    }
    // A larger training split does not change the test split.
    assert_eq!(make("train=40,test=6,size=32,seed=5")[40..], whole[12..]);
    let other = make("train=12,test=6,size=32,seed=6");
    assert!(whole.iter().zip(&other).all(|(a, b)| a.jpeg != b.jpeg));
}

#[test]
fn images_have_the_configured_size() {
    for size in [16, 40, 96] {
        for sample in make(&format!("train=10,test=0,size={size}")) {
            let decoded = decode(&sample.jpeg, &Limits::default()).unwrap();
            assert_eq!((decoded.width, decoded.height), (size, size), "{}", sample.path);
        }
    }
}

/// File size and mean colours must not predict the class, alone or together, and the audit must pass.
#[test]
fn audit_passes_and_simple_features_do_not_predict_the_class() {
    let samples = make("train=3000,test=0,size=64,seed=1");
    let (features, images): (Vec<[f64; 4]>, Vec<Observation>) = samples
        .par_iter()
        .map(|sample| {
            let decoded = decode(&sample.jpeg, &Limits::default()).unwrap();
            let mean = |channel| {
                let values = decoded.rgb.data().iter().skip(channel).step_by(3);
                values.map(|&value| f64::from(value)).sum::<f64>() / (64.0 * 64.0)
            };
            let features = [sample.jpeg.len() as f64, mean(0), mean(1), mean(2)];
            (features, Observation::new(&sample.jpeg, &decoded, sample.label, sample.split))
        })
        .unzip();
    let fake: Vec<bool> = samples.iter().map(|sample| sample.label.index() == 1).collect();
    for feature in 0..4 {
        let mut scored: Vec<_> = features.iter().map(|values| values[feature]).zip(fake.iter().copied()).collect();
        let area = roc_auc(&mut scored).unwrap();
        assert!((0.45..0.55).contains(&area), "feature {feature}: {area}");
    }
    let area = cross_validated(&features, &fake);
    assert!((0.45..0.55).contains(&area), "all features: {area}");

    let images: Vec<&Observation> = images.iter().collect();
    let pairs = near_duplicates(&images);
    assert!(pairs.is_empty(), "{pairs:?}");
    let report = audit(&images, &pairs, |image| samples[image].path.clone());
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.shortcuts);
    let metadata = report.probes.metadata.roc_auc.unwrap();
    assert!((0.45..0.55).contains(&metadata), "{metadata}");
    eprintln!("{:?}", report.probes);
}

/// Mean ROC-AUC over two folds of a logistic regression on standardised features, fitted by gradient descent.
fn cross_validated(features: &[[f64; 4]], fake: &[bool]) -> f64 {
    let n = features.len() as f64;
    let mean: [f64; 4] = std::array::from_fn(|i| features.iter().map(|row| row[i]).sum::<f64>() / n);
    let deviation: [f64; 4] =
        std::array::from_fn(|i| (features.iter().map(|row| (row[i] - mean[i]).powi(2)).sum::<f64>() / n).sqrt());
    let rows: Vec<[f64; 4]> =
        features.iter().map(|row| std::array::from_fn(|i| (row[i] - mean[i]) / deviation[i])).collect();
    // Real and fake images alternate, so that folds consist of pairs.
    let fold = |image: usize| image / 2 % 2;
    let score = |weights: &[f64; 5], row: &[f64; 4]| {
        weights[4] + row.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>()
    };
    let areas = [0, 1].map(|left_out| {
        let mut weights = [0.0; 5];
        for _ in 0..300 {
            let mut gradient = [0.0; 5];
            for image in (0..rows.len()).filter(|&image| fold(image) != left_out) {
                let p = 1.0 / (1.0 + (-score(&weights, &rows[image])).exp());
                let error = p - f64::from(u8::from(fake[image]));
                for (i, value) in rows[image].iter().chain(&[1.0]).enumerate() {
                    gradient[i] += error * value / (n / 2.0);
                }
            }
            weights.iter_mut().zip(gradient).for_each(|(weight, gradient)| *weight -= gradient);
        }
        let left_out = (0..rows.len()).filter(|&image| fold(image) == left_out);
        let mut scored: Vec<_> = left_out.map(|image| (score(&weights, &rows[image]), fake[image])).collect();
        roc_auc(&mut scored).unwrap()
    });
    (areas[0] + areas[1]) / 2.0
}
