//! Choice of the examples.

use artifacts::Label;
use artifacts::predictions::Prediction;
use artifacts::schema::ExampleKind;

/// A chosen example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Why it was chosen.
    pub kind: ExampleKind,
    /// Its row among the predictions.
    pub row: usize,
}

/// Chooses `count` images of each kind: the most confident correct ones of each class, the most confident false
/// negatives, the most confident false positives, and those nearest to P(fake) = 0.5.
///
/// Confidence is the absolute margin, because P(fake) rounds to 0 or 1 for many images. Equally
/// confident images are ordered by id, so that the result does not depend on the order of the predictions. An image may
/// be chosen as an example of two kinds.
pub fn choose(predictions: &[Prediction], count: usize) -> Vec<Choice> {
    let confidence = |prediction: &Prediction| prediction.margin().abs();
    let first = |kind: ExampleKind, is_of_kind: &dyn Fn(&Prediction) -> bool, most_confident: bool| {
        let mut rows: Vec<usize> = (0..predictions.len()).filter(|&row| is_of_kind(&predictions[row])).collect();
        rows.sort_by(|&a, &b| {
            let (a, b) = (&predictions[a], &predictions[b]);
            let by_confidence = confidence(a).total_cmp(&confidence(b));
            let order = if most_confident { by_confidence.reverse() } else { by_confidence };
            order.then_with(|| a.id.as_bytes().cmp(b.id.as_bytes()))
        });
        rows.into_iter().take(count).map(move |row| Choice { kind, row }).collect::<Vec<_>>()
    };
    let classified = |label: Label, predicted: Label| {
        move |prediction: &Prediction| prediction.label == label && prediction.predicted == predicted
    };
    [
        first(ExampleKind::Correct, &classified(Label::Real, Label::Real), true),
        first(ExampleKind::Correct, &classified(Label::Fake, Label::Fake), true),
        first(ExampleKind::FalseNegative, &classified(Label::Fake, Label::Real), true),
        first(ExampleKind::FalsePositive, &classified(Label::Real, Label::Fake), true),
        first(ExampleKind::Uncertain, &|_| true, false),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use artifacts::hash::Hash;

    use super::*;
    use crate::testing::{margin, prediction};

    #[test]
    fn chooses_most_confident_of_each_kind() {
        use Label::{Fake, Real};
        let rows = [(Real, 0.1), (Real, 0.02), (Real, 0.9), (Real, 0.55), (Fake, 0.97), (Fake, 0.3), (Fake, 0.05)];
        let predictions: Vec<Prediction> = rows
            .iter()
            .enumerate()
            .map(|(row, &(label, p))| prediction(&row.to_string(), label, "", margin(p)))
            .collect();
        let chosen: Vec<(ExampleKind, usize)> =
            choose(&predictions, 2).iter().map(|choice| (choice.kind, choice.row)).collect();
        use ExampleKind::{Correct, FalseNegative, FalsePositive, Uncertain};
        let expected = [
            (Correct, 1),
            (Correct, 0),
            (Correct, 4),
            (FalseNegative, 6),
            (FalseNegative, 5),
            (FalsePositive, 2),
            (FalsePositive, 3),
            (Uncertain, 3),
            (Uncertain, 5),
        ];
        assert_eq!(chosen, expected);
        assert!(choose(&predictions, 0).is_empty() && choose(&[], 3).is_empty());
    }

    #[test]
    fn does_not_depend_on_row_order() {
        let mut predictions: Vec<Prediction> =
            (0..9).map(|row| prediction(&row.to_string(), Label::Fake, "", 2.0)).collect();
        let ids = |predictions: &[Prediction]| -> Vec<Hash> {
            choose(predictions, 3).iter().map(|choice| predictions[choice.row].id).collect()
        };
        let before = ids(&predictions);
        predictions.reverse();
        assert_eq!(ids(&predictions), before);
    }

    #[test]
    fn orders_saturated_probabilities_by_margin() {
        let predictions = [40.0, 90.0, 60.0].map(|margin| prediction(&margin.to_string(), Label::Fake, "", margin));
        assert!(predictions.iter().all(|prediction| prediction.p_fake == 1.0));
        let rows: Vec<usize> = choose(&predictions, 3).iter().map(|choice| choice.row).collect();
        assert_eq!(rows, [1, 2, 0, 0, 2, 1]);
    }
}
