//! Sentences about predictions that were read from a file.

use artifacts::Label;
use artifacts::schema::{Judged, LabelSource, Metrics, ScoreKind, ThresholdSource};

use crate::escape::visible;
use crate::format_number::{compact, count};

/// Returns the sentence that every figure shows if images or rows were left out: "600 of 606 images have a prediction,
/// and 3 of 610 rows match no image."
pub(crate) fn coverage_note(metrics: &Metrics) -> Option<String> {
    let judged = metrics.judged.as_ref().filter(|judged| judged.is_partial())?;
    Some(format!("{}.", coverage(judged)))
}

fn coverage(judged: &Judged) -> String {
    let (images, rows) = (count(judged.images), count(judged.rows));
    let matched = match judged.without_image.count {
        0 => "every row matches an image".to_owned(),
        without => format!("{} of {rows} rows match no image", count(without)),
    };
    format!("{} of {images} images have a prediction, and {matched}", count(judged.predicted()))
}

/// Returns the mark of the files of figures: simulated data, and how many images the predictions leave out.
pub(crate) fn figure_mark(metrics: &Metrics) -> Option<String> {
    let simulated = metrics.simulated.then(|| "simulated data".to_owned());
    let partial = metrics.judged.as_ref().filter(|judged| judged.is_partial());
    let partial = partial.map(|judged| format!("{} of {} images", count(judged.predicted()), count(judged.images)));
    let marks: Vec<String> = simulated.into_iter().chain(partial).collect();
    (!marks.is_empty()).then(|| marks.join(", "))
}

/// Asks whether the scores are reversed.
pub(crate) fn reversal_warning(metrics: &Metrics) -> Option<String> {
    let judged = metrics.judged.as_ref().filter(|judged| judged.probably_reversed)?;
    let other = match judged.higher_is {
        Label::Fake => Label::Real,
        Label::Real => Label::Fake,
    };
    Some(format!(
        "ROC-AUC is far below 0.5, so these scores are probably reversed: do high scores of this detector mean {other}? If \
         so, judge the file again with --higher-is {other}."
    ))
}

/// Says what the scores in the file are.
pub(crate) fn score_kind(judged: &Judged) -> String {
    let kind = match judged.scores {
        ScoreKind::Probabilities => "probabilities",
        ScoreKind::Logits => "logits; P(fake) is their logistic function",
        ScoreKind::Unbounded => "numbers without a scale, of which only the order has a meaning",
        ScoreKind::Verdicts => return "verdicts without scores, shown as a P(fake) of 0 and 1".to_owned(),
    };
    let higher = match judged.higher_is {
        Label::Fake => "",
        Label::Real => "; a higher score means real in the file, so the scores were turned round",
    };
    format!("{kind}{higher}")
}

/// Says which threshold is used, and why.
pub(crate) fn threshold(judged: &Judged) -> String {
    let Some(threshold) = judged.threshold else { return "that of the verdicts in the file".to_owned() };
    let value = compact(threshold, 4);
    let moved = "; P(fake) in this report is the score moved so that this threshold lies at 0.5";
    match judged.threshold_from {
        ThresholdSource::Default => value,
        ThresholdSource::Option => format!("{value}, given with --threshold{moved}"),
        ThresholdSource::Verdicts => format!("{value}, which the verdicts in the file use{moved}"),
        ThresholdSource::Validation => {
            format!(
                "{value}, with the highest balanced accuracy on {} validation images{moved}",
                count(judged.validation)
            )
        }
    }
}

/// Says where the labels come from.
pub(crate) fn labels(judged: &Judged) -> &'static str {
    match judged.labels_from {
        LabelSource::File => "the file with the predictions",
        LabelSource::Source => "the source of the images",
        LabelSource::Both => "the source of the images; those in the file agree",
    }
}

/// The names of the files with the predictions.
pub(crate) fn files(judged: &Judged) -> String {
    judged.files.iter().map(|file| visible(file)).collect::<Vec<_>>().join(", ")
}
