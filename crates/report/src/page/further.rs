//! The same run judged in other ways: on other data, on another split, with another checkpoint.

use artifacts::schema::{Metric, Metrics, Seen};
use maud::{Markup, html};

use super::widgets::Column::{Number, Words};
use super::widgets::{Section, head, score_cell, scrolled, with_headline};
use crate::answer;
use crate::evidence::Evidence;
use crate::number::count;
use crate::text::visible;

/// A row for each further evaluation of this run; nothing where there is none.
pub(crate) fn section(evidence: &Evidence) -> Option<Section> {
    if evidence.further.is_empty() {
        return None;
    }
    let lead = "The same run, judged on other data, on another split or with another checkpoint, at the same threshold of 0.5.";
    let table = html! {
        table.headline {
            (head(&with_headline(&[Words("Data"), Number("Images")])))
            tbody { @for (name, metrics) in &evidence.further { (row(evidence, name, metrics)) } }
        }
    };
    Some(Section { id: "other-data", title: "Other data", lead: lead.to_owned(), body: scrolled("other data", &table) })
}

fn row(evidence: &Evidence, name: &str, metrics: &Metrics) -> Markup {
    html! {
        tr {
            th scope="row" {
                (visible(name))
                span.interval { (answer::dataset(metrics)) ", " (metrics.split) ", checkpoint " (visible(&metrics.checkpoint)) }
                // The scores of this row are the first run's.
                @if evidence.stale_runs(metrics).first() == Some(&0) {
                    span.interval { "of weights that this run no longer has: it was trained again since" }
                }
                @if let Some(seen) = metrics.seen { span.interval { (in_words(seen)) } }
            }
            td.number { (count(metrics.headline.n)) }
            @for metric in Metric::headline() {
                (score_cell(metric.informative_value(&metrics.headline), metrics.intervals.get(metric.key)))
            }
        }
    }
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
