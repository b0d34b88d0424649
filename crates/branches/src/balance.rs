//! The weight of each training image in the loss.

use std::collections::BTreeMap;

use artifacts::Label;
use artifacts::shard::Sample;

/// Returns a weight for each image. The images of `rows` have mean weight 1, and the others have weight 0. Both classes
/// have the same total weight. Within a class, each group has the same total weight: each generator of fakes, and each
/// folder of photographs.
///
/// Without these weights, a detector would mostly learn the generator or the camera with the most images.
pub fn balanced_weights(samples: &[Sample], rows: &[usize]) -> Vec<f32> {
    let mut counts: BTreeMap<(Label, &str), usize> = BTreeMap::new();
    for &row in rows {
        *counts.entry(group(&samples[row])).or_default() += 1;
    }
    let groups = |label| counts.keys().filter(|(of, _)| *of == label).count();
    let groups: BTreeMap<Label, usize> = Label::ALL.into_iter().map(|label| (label, groups(label))).collect();
    let classes = groups.values().filter(|&&groups| groups > 0).count();
    let mut weights = vec![0.0; samples.len()];
    for &row in rows {
        let key = group(&samples[row]);
        weights[row] = (rows.len() as f64 / (classes * groups[&key.0] * counts[&key]) as f64) as f32;
    }
    weights
}

/// The class of an image, and its generator or the folder that it was found in.
pub fn group(sample: &Sample) -> (Label, &str) {
    let folder = sample.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    (sample.label, if sample.generator.is_empty() { folder } else { &sample.generator })
}

#[cfg(test)]
mod tests {
    use artifacts::Split;
    use artifacts::hash::Hash;

    use super::*;

    fn sample(path: &str, label: Label, generator: &str) -> Sample {
        Sample {
            id: Hash::of(path.as_bytes()),
            path: path.to_owned(),
            label,
            split: Split::Train,
            generator: generator.to_owned(),
            width: 1,
            height: 1,
            format: "jpeg".to_owned(),
            file_bytes: 1,
            columns: BTreeMap::new(),
        }
    }

    #[test]
    fn classes_and_groups_have_equal_totals() {
        let mut samples = vec![sample("fake/a", Label::Fake, "x"), sample("real/phone/1", Label::Real, "")];
        samples.extend((0..3).map(|i| sample(&format!("fake/{i}"), Label::Fake, "y")));
        samples.extend((0..5).map(|i| sample(&format!("real/web/{i}"), Label::Real, "")));
        let all: Vec<usize> = (0..samples.len()).collect();
        let weights = balanced_weights(&samples, &all);
        let total = |keep: &dyn Fn(&Sample) -> bool| -> f32 {
            samples.iter().zip(&weights).filter(|(sample, _)| keep(sample)).map(|(_, weight)| weight).sum()
        };
        assert!((total(&|_| true) - 10.0).abs() < 1e-5);
        assert!((total(&|sample| sample.generator == "x") - 2.5).abs() < 1e-5);
        assert!((total(&|sample| sample.generator == "y") - 2.5).abs() < 1e-5);
        assert!((total(&|sample| sample.path.contains("phone")) - 2.5).abs() < 1e-5);
        assert!((total(&|sample| sample.path.contains("web")) - 2.5).abs() < 1e-5);
    }

    #[test]
    fn one_class_alone_has_weight_one() {
        let samples = [sample("a", Label::Fake, "x"), sample("b", Label::Fake, "x"), sample("c", Label::Real, "")];
        assert_eq!(balanced_weights(&samples, &[0, 1]), [1.0, 1.0, 0.0]);
    }
}
