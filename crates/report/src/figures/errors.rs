//! Every wrong verdict, as a table for those who want to look at all of them.

use artifacts::predictions::Prediction;

use crate::table::Table;

/// The images whose verdict at threshold 0.5 is wrong, most confidently wrong first.
pub(crate) fn errors(predictions: &[Prediction]) -> Table {
    let mut wrong: Vec<&Prediction> = predictions.iter().filter(|p| p.label != p.predicted).collect();
    let confidence = |prediction: &Prediction| (prediction.p_fake - 0.5).abs();
    wrong.sort_by(|a, b| confidence(b).total_cmp(&confidence(a)).then_with(|| a.path.cmp(&b.path)));
    let mut table = Table::new(&["path", "truth", "predicted", "p_fake", "generator", "id"]);
    for prediction in wrong {
        table.push([
            prediction.path.as_str().into(),
            prediction.label.to_string().as_str().into(),
            prediction.predicted.to_string().as_str().into(),
            prediction.p_fake.into(),
            prediction.generator.as_str().into(),
            prediction.id.to_string().as_str().into(),
        ]);
    }
    table
}
