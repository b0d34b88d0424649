//! The sentences at the top of the report and of the model card: how good the model is, how certain its scores are, and
//! a warning if they may be misleading.

use artifacts::command;
use artifacts::concerns::concerns;
use artifacts::schema::{Inconclusive, Metrics, Verdict};
use artifacts::text::dataset_name;

use crate::config::Config;
use crate::escape::visible;
use crate::format_number::{count, ends, per_hundred, percent, score};
use crate::judged;
use crate::run_results::RunResults;

/// The sentences of a summary, as plain text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    /// How good the model is, after the reasons why its scores may say little.
    pub(crate) performance: String,
    /// The verdicts of `predict` on the same images. `None` without a calibration.
    pub(crate) verdicts: Option<String>,
    /// A warning that the scores may be misleading, with the reason. `None` if no reason is known.
    pub(crate) warning: Option<String>,
    /// How certain the scores are.
    pub(crate) uncertainty: Vec<String>,
}

impl Summary {
    /// Summarises a run.
    pub(crate) fn of(results: &RunResults) -> Summary {
        let metrics = &results.evaluation.metrics;
        Summary {
            performance: performance(metrics),
            verdicts: band(metrics).map(verdicts),
            warning: judged::reversal_warning(metrics)
                .or_else(|| retrained_warning(&results.runs_retrained_since(metrics)))
                .or_else(|| audit_warning(results)),
            uncertainty: judged::coverage_note(metrics)
                .into_iter()
                .chain([interval_sentence(metrics), seed_sentence(metrics)])
                .collect(),
        }
    }
}

/// Returns the name of the evaluated data set. The name of a simulated one always contains "simulated".
pub(crate) fn evaluated_dataset(metrics: &Metrics) -> String {
    let name = visible(&dataset_name(&metrics.dataset));
    let is_marked = name.to_lowercase().contains("simulated");
    if metrics.simulated && !is_marked { format!("{name} (simulated)") } else { name }
}

/// Returns the heading of the report and of the model card.
pub(crate) fn report_title(results: &RunResults, config: &Config) -> String {
    match config.title.as_deref().map(str::trim).filter(|title| !title.is_empty()) {
        Some(title) => visible(title),
        None => format!("Real or generated: {}", visible(&results.run)),
    }
}

fn performance(metrics: &Metrics) -> String {
    let scores = &metrics.headline;
    let ranking = match scores.roc_auc {
        Some(roc_auc) => format!(
            "Given a real image and a fake one, the model gives the fake the higher score in {} of 100 cases.",
            per_hundred(roc_auc)
        ),
        None if scores.confusion.has_both_classes() => {
            "The predictions are verdicts without scores, so ROC-AUC cannot be computed.".to_owned()
        }
        None => "The split contains only one class, so ROC-AUC cannot be computed.".to_owned(),
    };
    let simulated = if metrics.simulated { "simulated " } else { "" };
    let concerns: String = concerns(metrics).iter().map(|concern| format!("{concern} ")).collect();
    format!(
        "{concerns}{ranking} At the threshold of 0.5 it classifies {} of the {} {simulated}images of the {} split correctly.",
        percent(scores.accuracy),
        count(scores.n),
        metrics.split
    )
}

/// Returns the band of inconclusive verdicts of the headline scores.
pub(crate) fn band(metrics: &Metrics) -> Option<Inconclusive> {
    metrics.runs.first()?.fitted.as_ref().map(|fitted| fitted.inconclusive)
}

/// Describes the verdicts that `predict` gives to these images.
fn verdicts(band: Inconclusive) -> String {
    let wrong = match band.wrong {
        Some(wrong) => format!("{} of the other verdicts are wrong", percent(Some(wrong))),
        None => "there are no other verdicts".to_owned(),
    };
    let fitted = match band.held_out {
        None => "on the validation split",
        Some(_) => "on held-out predictions for the training images",
    };
    format!(
        "With the rule of “predict”, which was fitted {fitted}, {} of these images are inconclusive, and \
         {wrong}. It finds “traces of generation” in {} of the real images, and “no traces found” in {} of the fakes.",
        percent(band.share),
        percent(band.false_accusations),
        percent(band.misses)
    )
}

fn interval_sentence(metrics: &Metrics) -> String {
    let interval = |key: &str| {
        metrics.intervals.get(key).map(|interval| match ends(interval) {
            Some([low, high]) => format!("between {low} and {high}"),
            None => format!("near {}", score(Some(interval.low))),
        })
    };
    let degenerate = ["roc_auc", "accuracy"]
        .into_iter()
        .any(|key| metrics.intervals.get(key).is_some_and(|interval| ends(interval).is_none()));
    let chance = if degenerate {
        " A score that is the same in every resample has no interval; with more images it would."
    } else {
        ""
    };
    match (interval("roc_auc"), interval("accuracy")) {
        (Some(roc_auc), Some(accuracy)) => format!(
            "On other images of the same kind, ROC-AUC is probably {roc_auc}, and accuracy {accuracy} (95% confidence \
             intervals from {} stratified bootstrap resamples of these images).{chance}",
            count(u64::from(metrics.bootstrap.resamples))
        ),
        (None, Some(accuracy)) => format!(
            "On other images of the same kind, accuracy is probably {accuracy} (95% confidence interval).{}",
            match metrics.headline.roc_auc {
                Some(_) => " ROC-AUC has no interval, because it is the same in every resample of these images.",
                None => "",
            }
        ),
        _ => "No confidence intervals were computed, so the effect of chance on these scores is unknown.".to_owned(),
    }
}

fn seed_sentence(metrics: &Metrics) -> String {
    match metrics.over_runs.get("roc_auc").filter(|_| metrics.runs.len() > 1) {
        Some(moments) => format!(
            "Over {} training runs with different random seeds, ROC-AUC is {} ± {} (mean and standard deviation).",
            metrics.runs.len(),
            score(Some(moments.mean)),
            score(moments.std)
        ),
        None if metrics.judged.is_some() => {
            "The predictions are of one trained model, so the effect of the random seed of its training is unknown."
                .to_owned()
        }
        None => "The model was trained once, so the effect of the random seed is unknown.".to_owned(),
    }
}

/// Returns a warning if the `retrained` runs are not empty: these runs were trained again after the evaluation. The
/// headline scores are those of run 0. The other runs only contribute to the mean.
fn retrained_warning(retrained: &[usize]) -> Option<String> {
    let what = match retrained {
        [] => return None,
        [0, ..] => {
            "These scores belong to an earlier model: the run was trained again after the evaluation.".to_owned()
        }
        [run] => {
            format!("The mean over the runs includes earlier models: run {run} was trained again after the evaluation.")
        }
        runs => format!(
            "The mean over the runs includes earlier models: runs {} were trained again after the evaluation.",
            runs.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
        ),
    };
    Some(format!("{what} Run `{}` to evaluate the current model.", command::line("evaluate")))
}

/// Repeats the audit's warning: the explanation of the strongest shortcut, and the names of the others.
fn audit_warning(results: &RunResults) -> Option<String> {
    let audit = results.audit().filter(|audit| audit.verdict == Verdict::Warning)?;
    let (strongest, others) = audit.shortcuts.split_first()?;
    let mut warning = format!("Do not trust these scores yet: {}.", visible(&strongest.explanation));
    if let Some(roc_auc) = strongest.roc_auc {
        warning.push_str(&format!(
            " A classifier that sees only this, and not the image itself, reaches a ROC-AUC of {}.",
            score(Some(roc_auc))
        ));
    }
    let others: Vec<String> = others.iter().take(4).map(|shortcut| visible(&shortcut.feature)).collect();
    if !others.is_empty() {
        warning.push_str(&format!(" The audit also warns about {}.", others.join(", ")));
    }
    Some(warning)
}
