//! The tables of scores, and whether P(fake) is a probability.

use artifacts::schema::{CalibratedScores, Metric, Metrics, RunMetrics};
use maud::{Markup, html};

use super::widgets::Column::{Number, Words};
use super::widgets::{Section, captioned, figure, head, score_cell, with_headline};
use crate::config::{Config, Published};
use crate::evidence::Evidence;
use crate::figures::Figures;
use crate::number::{compact, count, percent, score};
use crate::text::visible;

/// The headline table, with published results beside ours where they are of this data set, and all further scores.
pub(crate) fn section(evidence: &Evidence, config: &Config) -> Section {
    let metrics = &evidence.evaluation.metrics;
    let published = evidence
        .ingest
        .as_ref()
        .and_then(|ingest| config.published_for(&ingest.summary.source))
        .filter(|_| evidence.ingest.as_ref().is_some_and(|ingest| ingest.summary.source == metrics.dataset));
    let lead = "Fake is the positive class. Ranges are 95% intervals; definitions are scikit-learn's.";
    let body = html! {
        (headline(metrics, published))
        (undefined(metrics))
        @if metrics.runs.len() > 1 { (runs(metrics)) }
        (all_scores(metrics))
    };
    Section { id: "results", title: "Results", lead: lead.to_owned(), body }
}

fn headline(metrics: &Metrics, published: Option<&Published>) -> Markup {
    let several = metrics.runs.len() > 1;
    let caption = html! {
        "At threshold 0.5, " (count(metrics.headline.n)) @if metrics.simulated { " simulated" } " images"
    };
    let rows = html! {
        (head(&with_headline(&[Words("Model")])))
        tbody {
            tr.ours {
                th scope="row" { "this model" @if several { ", run 0" } }
                @for metric in Metric::headline() {
                    (score_cell(metric.informative_value(&metrics.headline), metrics.intervals.get(metric.key)))
                }
            }
            @if several {
                tr {
                    th scope="row" { "mean of " (metrics.runs.len()) " runs ± deviation" }
                    @for metric in Metric::headline() { td.number { (moments(metrics, metric)) } }
                }
            }
            @if let Some(published) = published {
                tr.published {
                    th scope="row" { (visible(&published.name)) }
                    @for value in [published.accuracy, published.roc_auc, published.pr_auc, published.f1] {
                        td.number { (value.map_or("not given".to_owned(), |value| compact(value, 4))) }
                    }
                }
            }
        }
    };
    captioned("headline-caption", Some("headline"), &caption, &rows)
}

fn moments(metrics: &Metrics, metric: &Metric) -> String {
    match metrics.over_runs.get(metric.key) {
        Some(moments) => format!("{} ± {}", score(Some(moments.mean)), score(moments.std)),
        None => score(None),
    }
}

/// Why scores are missing, in words: a dash alone explains nothing.
fn undefined(metrics: &Metrics) -> Markup {
    let reasons: Vec<String> = Metric::listed().filter_map(|metric| metric.why_undefined(&metrics.headline)).collect();
    html! {
        @if !reasons.is_empty() {
            ul.undefined { @for reason in reasons { li { (crate::number::UNDEFINED) " " (reason) "." } } }
        }
    }
}

fn runs(metrics: &Metrics) -> Markup {
    let rows = html! {
        (head(&with_headline(&[Words("Run")])))
        tbody {
            @for run in &metrics.runs {
                tr {
                    th scope="row" { "run " (run.run) }
                    @for metric in Metric::headline() {
                        (score_cell(metric.informative_value(&run.scores), run.intervals.get(metric.key)))
                    }
                }
            }
        }
    };
    captioned("runs-caption", Some("headline"), &html! { "Each training run" }, &rows)
}

/// Every score at 0.5 and, side by side, with what validation fitted.
fn all_scores(metrics: &Metrics) -> Markup {
    let fitted = metrics.runs.first().and_then(|run| run.fitted.as_ref());
    let calibrated = fitted.map(|fitted| format!("Calibrated, at {}", compact(fitted.scores.threshold, 3)));
    let mut columns = vec![Words("Score"), Number("At threshold 0.5")];
    columns.extend(calibrated.as_deref().map(Number));
    columns.push(Words("What it is"));
    let rows = html! {
        (head(&columns))
        tbody {
            @for metric in Metric::listed() {
                tr {
                    th scope="row" { (metric.name) }
                    (score_cell(metric.informative_value(&metrics.headline), metrics.intervals.get(metric.key)))
                    @if let Some(fitted) = fitted {
                        (score_cell(metric.informative_value(&fitted.scores), fitted.intervals.get(metric.key)))
                    }
                    td.meaning { (metric.description()) }
                }
            }
        }
    };
    html! {
        (captioned("scores-caption", Some("scores"), &html! { "All scores" }, &rows))
        @if let Some(fitted) = fitted { (fitted_note(fitted)) }
    }
}

fn fitted_note(fitted: &CalibratedScores) -> Markup {
    html! {
        p.note {
            "Temperature " (compact(fitted.temperature, 3)) " and threshold " (compact(fitted.scores.threshold, 3))
            " were fitted on " (count(fitted.fitted_on)) " validation images and on nothing else."
        }
    }
}

/// Whether P(fake) can be read as a probability, and the band in which no verdict should be given.
pub(crate) fn reliability(evidence: &Evidence, figures: &Figures) -> Option<Section> {
    let drawn = figures.reliability.as_ref()?;
    let run = evidence.evaluation.metrics.runs.first()?;
    let lead = "If P(fake) is a probability, then of 100 images with a P(fake) of 0.8, 80 are fake.";
    let body = html! {
        div.columns {
            (figure(drawn))
            (inconclusive(run))
        }
    };
    Some(Section { id: "reliability", title: "Is P(fake) a probability?", lead: lead.to_owned(), body })
}

fn inconclusive(run: &RunMetrics) -> Markup {
    let Some(fitted) = &run.fitted else {
        return html! {
            p.note { "No temperature was fitted: that needs validation images of both classes." }
        };
    };
    let band = &fitted.inconclusive;
    html! {
        div.aside {
            h3 { "When to say “inconclusive”" }
            p {
                "Validation set a band of calibrated P(fake) in which no verdict should be given: "
                strong { (compact(band.low, 3)) " to " (compact(band.high, 3)) } "."
            }
            dl.facts {
                div { dt { "Images in the band" } dd { (percent(band.share)) } }
                div { dt { "Real images called fake outside it" } dd { (percent(band.false_accusations)) } }
                div { dt { "Fakes called real outside it" } dd { (percent(band.misses)) } }
            }
        }
    }
}
