//! Images on which the verdicts of the detectors differ.

use artifacts::predictions::Prediction;
use artifacts::schema::Disagreement;

/// Returns the images with different verdicts at threshold 0.5, by descending distance between the highest and the
/// lowest P(fake). `detectors` holds the aligned predictions of each detector.
pub(super) fn disagreements(detectors: &[&[Prediction]]) -> Vec<Disagreement> {
    let Some(first) = detectors.first() else { return Vec::new() };
    let of_row = |row: usize| detectors.iter().map(move |predictions| &predictions[row]);
    let mut rows: Vec<usize> =
        (0..first.len()).filter(|&row| of_row(row).any(|other| other.predicted != first[row].predicted)).collect();
    // P(fake) rounds to 0 or 1 for many images. Images with equal distances are ordered by the distance of their
    // margins.
    let distances = |row: usize| {
        let distance = |score: fn(&Prediction) -> f64| max_difference(of_row(row).map(score));
        (distance(|prediction| prediction.p_fake), distance(Prediction::margin))
    };
    rows.sort_by(|&a, &b| {
        let (in_a, in_b) = (distances(a), distances(b));
        let by_path = || first[a].path.cmp(&first[b].path);
        in_b.0.total_cmp(&in_a.0).then(in_b.1.total_cmp(&in_a.1)).then_with(by_path)
    });
    rows.into_iter()
        .map(|row| {
            let Prediction { id, path, label, generator, .. } = first[row].clone();
            let p_fake = of_row(row).map(|prediction| prediction.p_fake).collect();
            Disagreement { id, path, label, generator, p_fake, image: None }
        })
        .collect()
}

/// The highest value minus the lowest.
fn max_difference(values: impl Iterator<Item = f64>) -> f64 {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    high - low
}

#[cfg(test)]
mod tests {
    use artifacts::Label;

    use super::*;
    use crate::testing::prediction;

    #[test]
    fn margins_order_equal_distances_of_p_fake() {
        let predictions = |margins: [f32; 4]| -> Vec<Prediction> {
            let images = ["a", "b", "c", "d"].into_iter().zip(margins);
            images.map(|(path, margin)| prediction(path, Label::Fake, "", margin)).collect()
        };
        let first = predictions([-1.0, -800.0, -900.0, 800.0]);
        let second = predictions([90.0, 800.0, 900.0, 90.0]);
        let found = disagreements(&[&first, &second]);
        let paths: Vec<&str> = found.iter().map(|image| image.path.as_str()).collect();
        assert_eq!(paths, ["c", "b", "a"]);
        assert_eq!(found[0].p_fake, found[1].p_fake);
    }
}
