//! The tables of scores.

use artifacts::schema::{CalibratedScores, Metric, Metrics};
use maud::{Markup, html};

use crate::config::{Config, Published};
use crate::escape::visible;
use crate::format_number::{UNDEFINED, compact, count, score};
use crate::html::score_cells::{headline_cells, score_cell, with_headline_columns};
use crate::html::section::Section;
use crate::html::table::Column::{Number, Text};
use crate::html::table::HtmlTable;
use crate::judged;
use crate::run_results::RunResults;

/// Renders the headline scores, next to published ones if they are for the same data set, and all other scores.
pub(crate) fn section(results: &RunResults, config: &Config) -> Section {
    let metrics = &results.evaluation.metrics;
    let published = results
        .ingest
        .as_ref()
        .filter(|ingest| ingest.summary.source == metrics.dataset)
        .and_then(|ingest| config.published_for(&ingest.summary.source));
    let lead = "Fake is the positive class. Brackets contain 95% confidence intervals. The scores are defined as in \
                scikit-learn.";
    let body = html! {
        (headline(metrics, published))
        @if let Some(coverage) = judged::coverage_note(metrics) { p.note { (coverage) } }
        (undefined_scores(metrics))
        @if metrics.runs.len() > 1 { (runs(metrics)) }
        (all_scores(metrics))
    };
    Section { id: "results", title: "Results", lead: lead.to_owned(), body }
}

fn headline(metrics: &Metrics, published: Option<&Published>) -> Markup {
    let several = metrics.runs.len() > 1;
    let caption = html! {
        "Scores at threshold 0.5 on " (count(metrics.headline.n)) @if metrics.simulated { " simulated" } " images"
    };
    let rows = html! {
        tr.ours {
            th scope="row" { "this model" @if several { ", run 0" } }
            (headline_cells(&metrics.headline, &metrics.intervals))
        }
        @if several {
            tr {
                th scope="row" { "mean ± standard deviation of " (metrics.runs.len()) " runs" }
                @for metric in Metric::headline() { td.number { (mean_and_deviation(metrics, metric)) } }
            }
        }
        @if let Some(published) = published {
            tr.published {
                th scope="row" { (visible(&published.name)) }
                @for value in [published.accuracy, published.roc_auc, published.pr_auc, published.f1] {
                    td.number { (value.map_or("not published".to_owned(), |value| compact(value, 4))) }
                }
            }
        }
    };
    let columns = with_headline_columns(&[Text("Model")]);
    html! { (HtmlTable::captioned("headline-caption", caption, &columns, rows).class("headline")) }
}

fn mean_and_deviation(metrics: &Metrics, metric: &Metric) -> String {
    match metrics.over_runs.get(metric.key) {
        Some(moments) => format!("{} ± {}", score(Some(moments.mean)), score(moments.std)),
        None => score(None),
    }
}

/// Renders the reason why each undefined score is undefined.
fn undefined_scores(metrics: &Metrics) -> Markup {
    let reasons: Vec<String> = Metric::listed().filter_map(|metric| metrics.why_undefined(metric)).collect();
    html! {
        @if !reasons.is_empty() {
            ul.undefined { @for reason in reasons { li { (UNDEFINED) " " (reason) "." } } }
        }
    }
}

fn runs(metrics: &Metrics) -> Markup {
    let rows = html! {
        @for run in &metrics.runs {
            tr {
                th scope="row" { "run " (run.run) }
                (headline_cells(&run.scores, &run.intervals))
            }
        }
    };
    let columns = with_headline_columns(&[Text("Run")]);
    html! { (HtmlTable::captioned("runs-caption", html! { "Each training run" }, &columns, rows).class("headline")) }
}

/// Renders every score at threshold 0.5 and with the fitted temperature and threshold.
fn all_scores(metrics: &Metrics) -> Markup {
    let fitted = metrics.runs.first().and_then(|run| run.fitted.as_ref());
    let calibrated = fitted.map(|fitted| format!("Calibrated, at {}", compact(fitted.scores.threshold, 3)));
    let mut columns = vec![Text("Score"), Number("At threshold 0.5")];
    columns.extend(calibrated.as_deref().map(Number));
    columns.push(Text("Meaning"));
    let rows = html! {
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
    };
    html! {
        (HtmlTable::captioned("scores-caption", html! { "All scores" }, &columns, rows).class("scores"))
        @if let Some(fitted) = fitted { (fitted_note(fitted)) }
    }
}

fn fitted_note(fitted: &CalibratedScores) -> Markup {
    html! {
        p.note {
            "The temperature " (compact(fitted.temperature, 3)) " and the threshold " (compact(fitted.scores.threshold, 3))
            " were fitted on " (count(fitted.fitted_on)) " validation images. Test images were not used for this."
        }
    }
}
