//! The same run judged in other ways: on other data, on another split, with another checkpoint.

use artifacts::schema::Seen;
use maud::html;

use super::widgets::{Section, score_cell};
use crate::answer;
use crate::evidence::Evidence;
use crate::metric::{HEADLINE, Metric};
use crate::number::count;
use crate::text::visible;

/// A row for each further evaluation of this run; nothing where there is none.
pub(crate) fn section(evidence: &Evidence) -> Option<Section> {
    if evidence.further.is_empty() {
        return None;
    }
    let scored = HEADLINE.iter().filter_map(|key| Metric::named(key));
    let lead = "The same run, judged on other data, on another split or with another checkpoint, at the same threshold of 0.5.";
    let body = html! {
        div.scroll tabindex="0" role="region" aria-label="other data" {
            table.headline {
                thead {
                    tr {
                        th scope="col" { "Data" }
                        th.number scope="col" { "Images" }
                        @for metric in scored.clone() { th.number scope="col" { (metric.name) } }
                    }
                }
                tbody {
                    @for (name, metrics) in &evidence.further {
                        tr {
                            th scope="row" {
                                (visible(name))
                                span.interval { (answer::dataset(metrics)) ", " (metrics.split) ", checkpoint " (visible(&metrics.checkpoint)) }
                                @if !evidence.has_the_weights_of(metrics) {
                                    span.interval { "of weights that this run no longer has: it was trained again since" }
                                }
                                @if let Some(seen) = metrics.seen { span.interval { (in_words(seen)) } }
                            }
                            td.number { (count(metrics.headline.n)) }
                            @for metric in scored.clone() {
                                (score_cell(metric.of(&metrics.headline), metrics.intervals.get(metric.key)))
                            }
                        }
                    }
                }
            }
        }
    };
    Some(Section { id: "other-data", title: "Other data", lead: lead.to_owned(), body })
}

/// Whether the scores can be believed: what was learnt by heart proves nothing.
fn in_words(seen: Seen) -> String {
    match seen {
        Seen { training: 0, validation: 0 } => "no file of it is in the training or the validation split".to_owned(),
        Seen { training, validation } => format!(
            "{} of it in the training split and {} in the validation split: the scores flatter the model",
            count(training),
            count(validation)
        ),
    }
}
