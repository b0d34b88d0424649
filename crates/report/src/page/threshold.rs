//! The threshold: the distribution of P(fake), the confusion matrix and the curves. The page's script moves the
//! threshold with a slider; without it, the section shows the threshold of 0.5.

use artifacts::Label;
use artifacts::schema::Metrics;
use artifacts::statistics::sigmoid;
use maud::{Markup, PreEscaped, html};

use crate::figures::Figures;
use crate::format_number::{compact, count, ratio, score, share};
use crate::html::figure::{figure, figure_with_content, file_links};
use crate::html::section::Section;
use crate::run_results::RunResults;
use crate::threshold_sweep::{NamedThreshold, STEPS, SortedScores, ThresholdSweep};

/// Renders the distribution with its slider, the confusion matrix and the curves.
pub(crate) fn section(results: &RunResults, figures: &Figures) -> Section {
    let metrics = &results.evaluation.metrics;
    let sweep = sweep(results);
    let lead = "An image is called fake if its P(fake) is at or above the threshold. A lower threshold misses fewer fakes but \
                calls more real images fake. Do not choose the threshold on these test images: the scores would then look better \
                than they are on new images.";
    let body = html! {
        (figure_with_content(&figures.distribution, "distribution", &html! {
            div.wide { (figures.distribution.inline_svg()) }
            div.narrow { (figures.distribution_narrow.inline_svg()) }
            p #distribution-narrow-caption hidden { (figures.distribution.description) }
            (slider(&sweep))
        }))
        div.trio {
            (confusion_matrix(metrics))
            @if let Some(roc) = &figures.roc { (figure(roc)) }
            @if let Some(curve) = &figures.precision_recall { (figure(curve)) }
        }
        script #sweep type="application/json" { (PreEscaped(script_json(&sweep))) }
    };
    Section { id: "threshold", title: "Threshold", lead: lead.to_owned(), body }
}

/// Counts false and true positives at each step of the slider and at the thresholds that have a button.
fn sweep(results: &RunResults) -> ThresholdSweep {
    let scores = SortedScores::new(&results.evaluation.predictions);
    let metrics = &results.evaluation.metrics;
    let rates = [("1% false alarms", 0.01), ("5% false alarms", 0.05)];
    let at_rates = rates
        .iter()
        .filter_map(|(name, rate)| Some((name.to_string(), scores.threshold_at_false_positive_rate(*rate)?)));
    let mut named = vec![("0.5".to_owned(), metrics.headline.threshold)];
    named.extend(at_rates);
    let mut sweep = scores.sweep(&named);
    if let Some(fitted) = metrics.runs.first().and_then(|run| run.fitted.as_ref()) {
        // The fitted threshold applies to calibrated scores. The slider shows uncalibrated ones, so convert it.
        let logit = (fitted.scores.threshold / (1.0 - fitted.scores.threshold)).ln() * fitted.temperature;
        let uncalibrated = sigmoid(logit);
        if uncalibrated.is_finite() {
            let confusion = &fitted.scores.confusion;
            sweep.insert(1, NamedThreshold::from_confusion("fitted on validation", uncalibrated, confusion));
        }
    }
    sweep
}

fn slider(sweep: &ThresholdSweep) -> Markup {
    html! {
        form #threshold-controls.controls hidden autocomplete="off" aria-label="Threshold" {
            div.slider {
                input #threshold-slider type="range" min="0" max=(STEPS) value=(STEPS / 2) step="1"
                    aria-label="Threshold in thousandths" {}
            }
            div.row {
                label { "Threshold "
                    input #threshold-number type="number" min="0" max="1" step=(compact(1.0 / STEPS as f64, 6)) value="0.5" {}
                }
                @for (i, named) in sweep.named().iter().enumerate() {
                    button type="button" data-named=(i) { (named.name) }
                }
            }
        }
    }
}

/// Renders the confusion matrix as a table. Each cell is tinted by its share of the row.
fn confusion_matrix(metrics: &Metrics) -> Markup {
    let c = metrics.headline.confusion;
    let rows = [
        (Label::Real, [("tn", Label::Real, c.true_negative), ("fp", Label::Fake, c.false_positive)]),
        (Label::Fake, [("fn", Label::Real, c.false_negative), ("tp", Label::Fake, c.true_positive)]),
    ];
    html! {
        figure.plot.matrix #confusion {
            h3 { "Confusion matrix at " span #confusion-threshold { (compact(metrics.headline.threshold, 4)) } }
            table {
                thead {
                    tr { td {} @for called in Label::ALL { th scope="col" { "called " (called) } } }
                }
                tbody {
                    @for (truth, cells) in &rows {
                        @let row_total = cells[0].2 + cells[1].2;
                        tr {
                            th scope="row" { "truly " (truth) }
                            @for (id, called, images) in cells {
                                td id=(id) class={ (called) " t" (tint(*images, row_total)) } {
                                    span.count { (count(*images)) }
                                    span.share { (share(*images, row_total)) }
                                }
                            }
                        }
                    }
                }
            }
            (rates(metrics))
            figcaption {
                "Percentages are shares of the row. "
                (file_links("confusion"))
            }
        }
    }
}

/// Returns the number of a cell's tint, 0 to 10, in the style sheet.
fn tint(part: u64, whole: u64) -> u64 {
    (10.0 * ratio(part, whole).unwrap_or(0.0)).round() as u64
}

/// Renders the scores that are computed from the confusion matrix.
fn rates(metrics: &Metrics) -> Markup {
    let scores = &metrics.headline;
    let rates = [
        ("accuracy", "Accuracy", scores.accuracy),
        ("precision", "Precision", scores.precision),
        ("recall", "Recall", scores.recall),
        ("f1", "F1", scores.f1),
    ];
    html! {
        dl.rates aria-live="polite" {
            @for (id, name, value) in rates {
                div { dt { (name) } dd id={ "rate-" (id) } { (score(value)) } }
            }
        }
    }
}

/// Serialises the sweep for a `script` element. Escapes `<`, because `</script>` would close the element.
fn script_json(sweep: &ThresholdSweep) -> String {
    serde_json::to_string(sweep).unwrap_or_else(|_| "null".to_owned()).replace('<', "\\u003c")
}
