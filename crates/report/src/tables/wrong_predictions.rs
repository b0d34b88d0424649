//! The table of all wrong predictions.

use artifacts::predictions::Prediction;

use crate::table::Table;

/// Returns the wrong predictions at threshold 0.5, most confident first.
pub(crate) fn table(predictions: &[Prediction]) -> Table {
    let mut wrong: Vec<&Prediction> = predictions.iter().filter(|p| p.label != p.predicted).collect();
    // Sort by the margin, because P(fake) is rounded to exactly 0 or 1 for many images.
    let confidence = |prediction: &Prediction| prediction.margin().abs();
    wrong.sort_by(|a, b| confidence(b).total_cmp(&confidence(a)).then_with(|| a.path.cmp(&b.path)));
    let mut table = Table::new(&["path", "truth", "predicted", "p_fake", "generator", "id"]);
    for prediction in wrong {
        table.push([
            prediction.path.as_str().into(),
            prediction.label.into(),
            prediction.predicted.into(),
            prediction.p_fake.into(),
            prediction.generator.as_str().into(),
            prediction.id.into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use artifacts::Label;

    use super::*;
    use crate::table::Cell;
    use crate::test_data::prediction;

    #[test]
    fn sorts_saturated_probabilities_by_margin() {
        let wrong = |path: &str, logit_fake: f32| Prediction {
            path: path.to_owned(),
            logit_fake,
            ..prediction(Label::Real, 1.0)
        };
        let table = table(&[wrong("a", 40.0), wrong("b", 90.0), wrong("c", 60.0), prediction(Label::Fake, 1.0)]);
        let paths: Vec<&Cell> = table.rows.iter().map(|row| &row[0]).collect();
        assert_eq!(paths, [&"b".into(), &"c".into(), &"a".into()]);
    }
}
