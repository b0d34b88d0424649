//! The same model on other data.

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
    let lead = "The same model, judged on other data at the same threshold of 0.5. Whether it was trained on any of these images was \
                not asked.";
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
                                span.interval { (answer::dataset(metrics)) ", " (metrics.split) }
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
