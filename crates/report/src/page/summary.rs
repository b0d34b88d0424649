//! The first screen: the summary, the headline scores and the limitations.

use artifacts::schema::Metric;
use maud::{Markup, html};

use crate::figures::Figures;
use crate::format_number::{ends, score};
use crate::html::layout::SUMMARY_ID;
use crate::html::limitations::limitation_box;
use crate::limitations::limitations;
use crate::run_results::RunResults;
use crate::summary::{Summary, band};

/// Renders the first screen.
pub(crate) fn render(results: &RunResults, figures: &Figures) -> Markup {
    let summary = Summary::of(results);
    html! {
        section.summary id=(SUMMARY_ID) aria-labelledby="summary-heading" {
            h2 #summary-heading { "Summary" }
            div.columns {
                div {
                    p.performance { (summary.performance) }
                    @if let Some(verdicts) = &summary.verdicts { p { (verdicts) } }
                    @if let Some(warning) = &summary.warning { p.score-warning role="note" { (warning) } }
                    (headline_scores(results))
                    h3 { "How certain are these scores?" }
                    @for sentence in &summary.uncertainty { p { (sentence) } }
                }
                @if let Some(drawn) = &figures.verdicts_per_hundred {
                    figure.plot {
                        (drawn.inline_svg())
                        figcaption id={ (drawn.name) "-caption" } {
                            "Each mark stands for 1 of 100 images, or for one image of a class with fewer. At the threshold \
                             of 0.5, circles were called real and squares fake. " (drawn.description)
                        }
                    }
                }
            }
            (limitation_box("Do not rely on this model for", &limitations(results)))
        }
    }
}

/// Renders the headline scores in large type.
fn headline_scores(results: &RunResults) -> Markup {
    let metrics = &results.evaluation.metrics;
    html! {
        dl.tiles {
            @for metric in Metric::headline() {
                div {
                    dt { (metric.name) }
                    dd {
                        span.value { (score(metric.informative_value(&metrics.headline))) }
                        @if let Some(interval) = metrics.intervals.get(metric.key) {
                            span.interval {
                                @match ends(interval) {
                                    Some([low, high]) => { (low) " to " (high) },
                                    None => { "the same in every resample, so no interval" },
                                }
                            }
                        } @else if let Some(why) = metrics.why_undefined(metric) {
                            span.interval { (why) }
                        }
                    }
                }
            }
            @if let Some(band) = band(metrics) {
                div {
                    dt { "Inconclusive" }
                    dd {
                        span.value { (score(band.share)) }
                        span.interval { "share of verdicts" }
                    }
                }
            }
        }
    }
}
