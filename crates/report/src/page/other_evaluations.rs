//! Evaluations of the same model on other data, on another split or with another checkpoint.

use artifacts::schema::{Metrics, Seen};
use maud::{Markup, Render, html};

use crate::escape::visible;
use crate::format_number::count;
use crate::html::score_cells::{headline_cells, with_headline_columns};
use crate::html::section::Section;
use crate::html::table::Column::{Number, Text};
use crate::html::table::HtmlTable;
use crate::run_results::RunResults;
use crate::summary::dataset_name;

/// Renders a row for each other evaluation. Returns `None` if there is none.
pub(crate) fn section(results: &RunResults) -> Option<Section> {
    if results.other_evaluations.is_empty() {
        return None;
    }
    let lead = "Scores of the same model on other data, on another split or with another checkpoint, at the same threshold \
                of 0.5.";
    let columns = with_headline_columns(&[Text("Evaluation"), Number("Images")]);
    let rows = html! { @for (name, metrics) in &results.other_evaluations { (row(results, name, metrics)) } };
    let table = HtmlTable::labelled("other evaluations", &columns, rows).class("headline");
    Some(Section { id: "other-data", title: "Other evaluations", lead: lead.to_owned(), body: table.render() })
}

fn row(results: &RunResults, name: &str, metrics: &Metrics) -> Markup {
    html! {
        tr {
            th scope="row" {
                (visible(name))
                span.interval { (dataset_name(metrics)) ", " (metrics.split) " split, checkpoint " (visible(&metrics.checkpoint)) }
                // The scores in this row are those of the first run.
                @if results.runs_retrained_since(metrics).first() == Some(&0) {
                    span.interval { "scores of an earlier model: the run was trained again after this evaluation" }
                }
                @if let Some(seen) = metrics.seen { span.interval { (overlap(seen)) } }
            }
            td.number { (count(metrics.headline.n)) }
            (headline_cells(&metrics.headline, &metrics.intervals))
        }
    }
}

/// Describes the overlap with the data that the model was trained and selected on.
fn overlap(seen: Seen) -> String {
    match seen {
        Seen { training: 0, validation: 0 } => {
            "none of these images is in the model's training or validation split".to_owned()
        }
        Seen { training, validation } => format!(
            "{} of these images are in the model's training split and {} in its validation split, so the scores are too high",
            count(training),
            count(validation)
        ),
    }
}
