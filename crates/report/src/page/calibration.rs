//! Calibration: whether P(fake) can be read as a probability, which scores should be reported as inconclusive, and how
//! many verdicts are wrong if only the most certain images get one.

use artifacts::schema::{Interval, Metric, RunMetrics};
use maud::{Markup, html};

use crate::figures::Figures;
use crate::format_number::{compact, count, percent, score};
use crate::html::figure::figure;
use crate::html::section::Section;
use crate::run_results::RunResults;

/// Renders the reliability diagram, the inconclusive band and the risk-coverage curve. Returns `None` if there is no diagram.
pub(crate) fn section(results: &RunResults, figures: &Figures) -> Option<Section> {
    let drawn = figures.reliability.as_ref()?;
    let run = results.evaluation.metrics.runs.first()?;
    let lead =
        "P(fake) can be read as a probability if, for example, 80 of 100 images with a P(fake) of 0.8 are fakes.";
    let body = html! {
        div.columns {
            (figure(drawn))
            (inconclusive_band(run))
        }
        @if let Some(drawn) = &figures.risk_coverage {
            div.columns {
                (figure(drawn))
                (risk_coverage(run))
            }
        }
    };
    Some(Section { id: "reliability", title: "Calibration", lead: lead.to_owned(), body })
}

fn inconclusive_band(run: &RunMetrics) -> Markup {
    let Some(fitted) = &run.fitted else {
        return html! {
            p.note { "The scores are not calibrated, because that requires validation images of both classes." }
        };
    };
    let band = &fitted.inconclusive;
    html! {
        div.aside {
            h3 { "When is a result inconclusive?" }
            p {
                "If the calibrated P(fake) lies between " strong { (compact(band.low, 3)) } " and "
                strong { (compact(band.high, 3)) } ", the result should be reported as inconclusive. "
                @match band.held_out {
                    None => { "These limits were chosen on the validation split." }
                    Some(images) => {
                        "These limits were chosen on predictions for " (count(images)) " training images, each by a model \
                         that was trained without the image's generator or folder."
                    }
                }
            }
            dl.facts {
                div { dt { "Inconclusive images" } dd { (percent(band.share)) } }
                div { dt { "Real images still called fake" } dd { (percent(band.false_accusations)) } }
                div { dt { "Fakes still called real" } dd { (percent(band.misses)) } }
                @if band.wrong.is_some() {
                    div {
                        dt { "Wrong verdicts among the others" }
                        dd { (percent(band.wrong)) " " (interval(band.wrong_interval.as_ref())) }
                    }
                }
            }
        }
    }
}

/// Explains how to read the risk-coverage curve, with its two scores.
fn risk_coverage(run: &RunMetrics) -> Markup {
    let facts = ["risk_coverage_area", "coverage_at_5_wrong"].into_iter().filter_map(Metric::by_key);
    html! {
        div.aside {
            h3 { "What if only certain images get a verdict?" }
            p {
                "At the right end of the curve, every image gets a verdict. Towards the left, the least certain images get \
                 none, and the share of wrong verdicts among the others should fall. If it does not, the model is as \
                 certain when it is wrong as when it is right."
            }
            dl.facts {
                @for metric in facts {
                    div {
                        dt { (metric.name) ": " (metric.description()) }
                        dd { (score(metric.value(&run.scores))) " " (score_interval(run.intervals.get(metric.key))) }
                    }
                }
            }
        }
    }
}

fn interval(interval: Option<&Interval>) -> Markup {
    html! {
        @if let Some(interval) = interval {
            span.interval { "[" (percent(Some(interval.low))) ", " (percent(Some(interval.high))) "]" }
        }
    }
}

fn score_interval(interval: Option<&Interval>) -> Markup {
    html! {
        @if let Some(interval) = interval {
            span.interval { "[" (score(Some(interval.low))) ", " (score(Some(interval.high))) "]" }
        }
    }
}
