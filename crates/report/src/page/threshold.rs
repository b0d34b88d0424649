//! The threshold: where it lies in the scores, and what it makes of them. With a script it moves.

use artifacts::Label;
use artifacts::schema::Metrics;
use maud::{Markup, PreEscaped, html};

use super::widgets::{Section, figure, figure_with};
use crate::evidence::Evidence;
use crate::figures::Figures;
use crate::number::{compact, count, ratio, share};
use crate::threshold::{Named, Ranked, STEPS, Sweep};

/// Distribution, slider, confusion matrix and curves.
pub(crate) fn section(evidence: &Evidence, figures: &Figures) -> Section {
    let metrics = &evidence.evaluation.metrics;
    let sweep = sweep(evidence);
    let lead = "An image is called fake when its P(fake) is at or above the threshold. A lower threshold misses fewer \
                fakes and accuses more real images; a threshold chosen by looking at these test images says nothing \
                about others.";
    let body = html! {
        (figure_with(&figures.distribution, "distribution", &html! {
            div.wide { (figures.distribution.inline()) }
            div.narrow { (figures.distribution_narrow.inline()) }
            p #distribution-narrow-caption hidden { (figures.distribution.description) }
            (slider(&sweep))
        }))
        div.trio {
            (matrix(metrics))
            @if let Some(roc) = &figures.roc { (figure(roc)) }
            @if let Some(curve) = &figures.precision_recall { (figure(curve)) }
        }
        script #sweep type="application/json" { (PreEscaped(json(&sweep))) }
    };
    Section { id: "threshold", title: "Threshold", lead: lead.to_owned(), body }
}

/// Counts at every step, and at the thresholds that people ask for.
fn sweep(evidence: &Evidence) -> Sweep {
    let ranked = Ranked::new(&evidence.evaluation.predictions);
    let metrics = &evidence.evaluation.metrics;
    let rates = [("1% false alarms", 0.01), ("5% false alarms", 0.05)];
    let at_rates =
        rates.iter().filter_map(|(name, rate)| Some((name.to_string(), ranked.at_false_positive_rate(*rate)?)));
    let mut named = vec![("0.5".to_owned(), metrics.headline.threshold)];
    named.extend(at_rates);
    let mut sweep = ranked.sweep(&named);
    if let Some(fitted) = metrics.runs.first().and_then(|run| run.fitted.as_ref()) {
        // The fitted threshold is one of calibrated scores; on the slider it lies where the raw score has that value.
        let logit = (fitted.scores.threshold / (1.0 - fitted.scores.threshold)).ln() * fitted.temperature;
        let raw = 1.0 / (1.0 + (-logit).exp());
        if raw.is_finite() {
            sweep.insert(1, Named::counted("fitted on validation", raw, &fitted.scores.confusion));
        }
    }
    sweep
}

fn slider(sweep: &Sweep) -> Markup {
    html! {
        form #threshold-controls.controls hidden autocomplete="off" aria-label="Threshold" {
            div.slider { input #threshold-slider type="range" min="0" max=(STEPS) value=(STEPS / 2) step="1" aria-label="Threshold in thousandths" {} }
            div.row {
                label { "Threshold " input #threshold-number type="number" min="0" max="1" step=(compact(1.0 / STEPS as f64, 6)) value="0.5" {} }
                @for (i, named) in sweep.named().iter().enumerate() {
                    button type="button" data-named=(i) { (named.name) }
                }
            }
        }
    }
}

/// The confusion matrix as a table, its cells tinted by their share of the row.
fn matrix(metrics: &Metrics) -> Markup {
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
                        @let whole = cells[0].2 + cells[1].2;
                        tr {
                            th scope="row" { "truly " (truth) }
                            @for (id, called, images) in cells {
                                td id=(id) class={ (called) " t" (tint(*images, whole)) } {
                                    span.count { (count(*images)) }
                                    span.share { (share(*images, whole)) }
                                }
                            }
                        }
                    }
                }
            }
            (rates(metrics))
            figcaption {
                "Shares are of the row. "
                span.files { a href="figures/confusion.svg" { "SVG" } " " a href="figures/confusion.csv" { "CSV" } }
            }
        }
    }
}

/// A share as one of eleven tints.
fn tint(part: u64, whole: u64) -> u64 {
    (10.0 * ratio(part, whole).unwrap_or(0.0)).round() as u64
}

/// The rates that follow from the counts.
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
                div { dt { (name) } dd id={ "rate-" (id) } { (crate::number::score(value)) } }
            }
        }
    }
}

/// JSON that cannot end the element it stands in.
fn json(sweep: &Sweep) -> String {
    serde_json::to_string(sweep).unwrap_or_else(|_| "null".to_owned()).replace('<', "\\u003c")
}
