//! The first screen: the answer.

use artifacts::schema::Metric;
use maud::{Markup, html};

use crate::answer::Answer;
use crate::evidence::Evidence;
use crate::figures::Figures;
use crate::number::score;

/// How good, how sure, and what it must not be trusted for.
pub(crate) fn render(evidence: &Evidence, answer: &Answer, figures: &Figures) -> Markup {
    html! {
        section.answer #answer aria-labelledby="answer-heading" {
            h2 #answer-heading { "The answer" }
            div.columns {
                div {
                    p.verdict { (answer.verdict) }
                    @if let Some(caveat) = &answer.caveat { p.caveat role="note" { (caveat) } }
                    (tiles(evidence))
                    h3 { "How sure" }
                    @for sentence in &answer.certainty { p { (sentence) } }
                }
                @if let Some(outcomes) = &figures.outcomes {
                    figure.plot {
                        (outcomes.inline())
                        figcaption #outcomes-caption { "Verdicts at the threshold of 0.5. " (outcomes.description) }
                    }
                }
            }
            div.limits {
                h3 { "What it must not be trusted for" }
                ul { @for limit in &answer.limits { li { strong { (limit.what) } ": " (limit.why) "." } } }
            }
        }
    }
}

/// The four scores that the field reports, large.
fn tiles(evidence: &Evidence) -> Markup {
    let metrics = &evidence.evaluation.metrics;
    html! {
        dl.tiles {
            @for metric in Metric::headline() {
                div {
                    dt { (metric.name) }
                    dd {
                        span.value { (score(metric.informative_value(&metrics.headline))) }
                        @if let Some(interval) = metrics.intervals.get(metric.key) {
                            span.interval { (score(Some(interval.low))) " to " (score(Some(interval.high))) }
                        } @else if let Some(why) = metric.why_undefined(&metrics.headline) {
                            span.interval { (why) }
                        }
                    }
                }
            }
        }
    }
}
