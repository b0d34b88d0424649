//! Which images to show.

use artifacts::Label;
use artifacts::predictions::Prediction;
use artifacts::schema::ExampleKind;

/// A chosen image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Why it was chosen.
    pub kind: ExampleKind,
    /// Its row among the predictions.
    pub row: usize,
}

/// The `count` most confident right ones of each class, most confident false negatives, most confident false positives
/// and nearest to 0.5, in this order: by their margins, because P(fake) of many is 0 or 1 to the last digit. Equal ones
/// stand in the order of their ids, so that the choice depends on nothing but the predictions. An image may be chosen for
/// two reasons.
pub fn choose(predictions: &[Prediction], count: usize) -> Vec<Choice> {
    let confidence = |prediction: &Prediction| prediction.margin().abs();
    let most = |kind: ExampleKind, wanted: &dyn Fn(&Prediction) -> bool, certain: bool| {
        let mut rows: Vec<usize> = (0..predictions.len()).filter(|&row| wanted(&predictions[row])).collect();
        rows.sort_by(|&a, &b| {
            let (a, b) = (&predictions[a], &predictions[b]);
            let by_confidence = confidence(a).total_cmp(&confidence(b));
            let order = if certain { by_confidence.reverse() } else { by_confidence };
            order.then_with(|| a.id.as_bytes().cmp(b.id.as_bytes()))
        });
        rows.into_iter().take(count).map(move |row| Choice { kind, row }).collect::<Vec<_>>()
    };
    let judged = |label: Label, predicted: Label| {
        move |prediction: &Prediction| prediction.label == label && prediction.predicted == predicted
    };
    [
        most(ExampleKind::Correct, &judged(Label::Real, Label::Real), true),
        most(ExampleKind::Correct, &judged(Label::Fake, Label::Fake), true),
        most(ExampleKind::FalseNegative, &judged(Label::Fake, Label::Real), true),
        most(ExampleKind::FalsePositive, &judged(Label::Real, Label::Fake), true),
        most(ExampleKind::Uncertain, &|_| true, false),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use artifacts::hash::Hash;

    use super::*;
    use crate::testing::{margin, prediction};

    #[test]
    fn each_kind_begins_with_its_extreme() {
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
    fn the_order_of_the_rows_does_not_matter() {
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
    fn of_scores_that_are_one_to_the_last_digit_the_largest_margin_comes_first() {
        let predictions = [40.0, 90.0, 60.0].map(|margin| prediction(&margin.to_string(), Label::Fake, "", margin));
        assert!(predictions.iter().all(|prediction| prediction.p_fake == 1.0));
        let rows: Vec<usize> = choose(&predictions, 3).iter().map(|choice| choice.row).collect();
        assert_eq!(rows, [1, 2, 0, 0, 2, 1]);
    }
}
