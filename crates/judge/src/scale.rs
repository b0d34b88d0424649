//! From the scores of a file to margins, whose sign is the verdict and whose logistic function is P(fake).

use artifacts::Label;
use artifacts::schema::{ScoreKind, ThresholdSource};
use evaluate::calibration::BandLimits;
use evaluate::measure::{ScoredImages, ValidationFit};

use crate::input::{Row, ScoreColumn};
use crate::{Config, Error};

/// How margins follow from scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) kind: ScoreKind,
    higher_is: Label,
    /// The threshold in units of the file.
    pub(crate) threshold: f64,
    pub(crate) threshold_from: ThresholdSource,
    /// The margin of unbounded scores is divided by this.
    unit: f64,
    /// The margins of probabilities of 0 and 1, which are beyond all others.
    extremes: (f64, f64),
}

/// The margin of a verdict: P(fake) rounds to 0 or 1.
const VERDICT_MARGIN: f64 = 40.0;
/// The smallest margin of a probability of 0 or 1: that of the number next to 1.
const EXTREME_MARGIN: f64 = 37.0;

/// The scores of one detector, whatever their images.
pub(crate) struct DetectorScores<'a> {
    pub(crate) model: &'a str,
    pub(crate) rows: &'a [&'a Row],
    /// Labels and scores of the validation images.
    pub(crate) validation: &'a [(Label, f64)],
}

impl Scale {
    /// Finds what the scores are and where their threshold lies.
    pub(crate) fn find(scores: &DetectorScores<'_>, config: &Config) -> Result<Scale, Error> {
        let kind = find_kind(scores, config)?;
        let finite: Vec<f64> = scores.rows.iter().map(|row| row.score).filter(|score| score.is_finite()).collect();
        let base = Scale {
            kind,
            higher_is: config.higher_is,
            threshold: 0.0,
            threshold_from: ThresholdSource::Default,
            unit: 1.0,
            extremes: (-EXTREME_MARGIN, EXTREME_MARGIN),
        };
        let natural = match kind {
            ScoreKind::Probabilities | ScoreKind::Verdicts => Some(0.5),
            ScoreKind::Logits => Some(0.0),
            ScoreKind::Unbounded => None,
        };
        if kind == ScoreKind::Verdicts {
            return Ok(Scale { threshold: 0.5, threshold_from: ThresholdSource::Verdicts, ..base });
        }
        let (threshold, threshold_from) = match config.threshold {
            Some(given) if Some(given) == natural => (given, ThresholdSource::Default),
            Some(given) => (given, ThresholdSource::Option),
            None => match (threshold_of_verdicts(scores, config.higher_is, natural)?, natural) {
                (Some(found), _) if Some(found) == natural => (found, ThresholdSource::Default),
                (Some(found), _) => (found, ThresholdSource::Verdicts),
                (None, Some(natural)) => (natural, ThresholdSource::Default),
                (None, None) => (threshold_of_validation(scores, &finite, base)?, ThresholdSource::Validation),
            },
        };
        let is_probability = kind == ScoreKind::Probabilities;
        if is_probability && !(threshold > 0.0 && threshold < 1.0) {
            return Err(fault(
                scores.model,
                format!("the threshold {threshold} of probabilities is not between 0 and 1"),
            ));
        }
        if !threshold.is_finite() {
            return Err(Error::Usage(format!("--threshold {threshold} is not a number")));
        }
        let unit = if kind == ScoreKind::Unbounded { unit(&finite, threshold) } else { 1.0 };
        let scale = Scale { threshold, threshold_from, unit, ..base };
        Ok(if is_probability { scale.with_extremes(&finite) } else { scale })
    }

    /// Returns the margin of a row.
    pub(crate) fn margin_of(&self, row: &Row) -> f64 {
        match (self.kind, row.verdict) {
            // The name of a class means the same whichever class a higher score stands for.
            (ScoreKind::Verdicts, Some(Label::Fake)) => VERDICT_MARGIN,
            (ScoreKind::Verdicts, Some(Label::Real)) => -VERDICT_MARGIN,
            _ => self.margin(row.score),
        }
    }

    /// Returns the margin of a score.
    pub(crate) fn margin(&self, score: f64) -> f64 {
        let margin = match self.kind {
            ScoreKind::Verdicts if score >= 0.5 => VERDICT_MARGIN,
            ScoreKind::Verdicts => -VERDICT_MARGIN,
            ScoreKind::Logits => score - self.threshold,
            ScoreKind::Unbounded => (score - self.threshold) / self.unit,
            ScoreKind::Probabilities if score <= 0.0 => self.extremes.0,
            ScoreKind::Probabilities if score >= 1.0 => self.extremes.1,
            ScoreKind::Probabilities => logit(score) - logit(self.threshold),
        };
        match self.higher_is {
            Label::Fake => margin,
            Label::Real => -margin,
        }
    }

    /// Places the margins of 0 and 1 beyond those of all other probabilities, so that no order is lost.
    fn with_extremes(self, scores: &[f64]) -> Scale {
        let inner = scores.iter().filter(|score| **score > 0.0 && **score < 1.0).map(|score| self.margin(*score));
        let largest = inner.fold(EXTREME_MARGIN - 1.0, |largest, margin| largest.max(margin.abs())) + 1.0;
        Scale { extremes: (-largest, largest), ..self }
    }
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// Half the median distance from the threshold, so that P(fake) of most images is neither 0 nor 1.
fn unit(scores: &[f64], threshold: f64) -> f64 {
    let mut distances: Vec<f64> = scores.iter().map(|score| (score - threshold).abs()).filter(|d| *d > 0.0).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let middle = distances.get(distances.len() / 2).copied().unwrap_or(1.0) / 2.0;
    if middle.is_finite() && middle > 0.0 { middle } else { 1.0 }
}

fn find_kind(scores: &DetectorScores<'_>, config: &Config) -> Result<ScoreKind, Error> {
    let finite = || scores.rows.iter().filter(|row| row.score.is_finite());
    let Some(first) = finite().next() else {
        return Err(fault(scores.model, "none of its scores is a finite number".to_owned()));
    };
    if let Some(other) = finite().find(|row| row.column != first.column) {
        return Err(fault(
            scores.model,
            format!(
                "its scores come from columns of different kinds (`{}` and `{}`); judge the files one by one",
                first.name(),
                other.name()
            ),
        ));
    }
    let outside = || finite().find(|row| !(0.0..=1.0).contains(&row.score));
    let is_binary = || finite().all(|row| row.score == 0.0 || row.score == 1.0);
    let kind = match (config.scores, first.column) {
        (Some(kind), _) => kind,
        (None, ScoreColumn::Logit) => ScoreKind::Logits,
        (None, _) if is_binary() => ScoreKind::Verdicts,
        (None, ScoreColumn::Probability | ScoreColumn::Verdict) => ScoreKind::Probabilities,
        (None, ScoreColumn::Score) if outside().is_none() => ScoreKind::Probabilities,
        (None, ScoreColumn::Score) => ScoreKind::Unbounded,
    };
    match kind {
        ScoreKind::Probabilities => match outside() {
            None => Ok(kind),
            Some(row) => Err(fault(
                scores.model,
                format!(
                    "the score of `{}` is {}, but probabilities are 0 to 1; say --scores logits or --scores unbounded",
                    row.name(),
                    row.score
                ),
            )),
        },
        ScoreKind::Verdicts if !is_binary() => {
            Err(fault(scores.model, "verdicts are 0 and 1, or real and fake, but it has other values".to_owned()))
        }
        kind => Ok(kind),
    }
}

/// Returns the threshold that the verdicts in the file follow: `natural` if it separates them, otherwise halfway
/// between the scores of both verdicts. `None` without verdicts.
fn threshold_of_verdicts(
    scores: &DetectorScores<'_>,
    higher_is: Label,
    natural: Option<f64>,
) -> Result<Option<f64>, Error> {
    let called =
        |label: Label| scores.rows.iter().filter(move |row| row.verdict == Some(label) && row.score.is_finite());
    let high = called(higher_is).min_by(|a, b| a.score.total_cmp(&b.score));
    let low = Label::ALL.into_iter().filter(|label| *label != higher_is).flat_map(called);
    let low = low.max_by(|a, b| a.score.total_cmp(&b.score));
    match (low, high) {
        (Some(low), Some(high)) if low.score >= high.score => Err(fault(
            scores.model,
            format!(
                "its verdicts contradict its scores: `{}` has the score {} and is called {}, but `{}` has {} and is not; \
                 leave the verdicts out, or say --higher-is real if high scores mean real",
                high.name(),
                high.score,
                higher_is,
                low.name(),
                low.score
            ),
        )),
        (Some(low), Some(high)) => Ok(Some(match natural {
            Some(natural) if low.score < natural && natural <= high.score => natural,
            _ => 0.5 * low.score + 0.5 * high.score,
        })),
        // Verdicts of one kind only do not show where the threshold is, but may contradict the natural one.
        (Some(only), None) => Ok(natural.filter(|natural| only.score < *natural).or(Some(only.score.next_up()))),
        (None, Some(only)) => Ok(natural.filter(|natural| *natural <= only.score).or(Some(only.score))),
        (None, None) => Ok(None),
    }
}

/// Returns the score with the highest balanced accuracy on the validation rows.
fn threshold_of_validation(scores: &DetectorScores<'_>, finite: &[f64], base: Scale) -> Result<f64, Error> {
    let mut sorted = finite.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let trial = Scale { threshold: median, unit: unit(finite, median), ..base };
    let (labels, margins) = scores.validation.iter().map(|(label, score)| (*label, trial.margin(*score))).unzip();
    let fit = ValidationFit::new(&ScoredImages { labels, margins }, BandLimits::default())
        .map_err(|source| Error::Metrics { model: scores.model.to_owned(), source })?;
    let Some(fit) = fit else {
        return Err(fault(
            scores.model,
            format!(
                "its scores reach from {} to {}, so 0.5 is not their threshold; say --scores logits if 0 is it, give it \
                 with --threshold X, or add a column `verdict`, or `split` with validation rows of both classes",
                sorted[0],
                sorted[sorted.len() - 1]
            ),
        ));
    };
    let margin = fit.temperature.0 * logit(fit.threshold);
    let signed = if base.higher_is == Label::Fake { margin } else { -margin };
    Ok(median + signed * trial.unit)
}

pub(crate) fn fault(model: &str, detail: String) -> Error {
    Error::Detector { model: model.to_owned(), detail }
}
