//! Evaluations of the same model on other data, on another split or with another checkpoint.

use artifacts::names::PAGE;
use artifacts::schema::Seen;
use maud::{Markup, Render, html};

use crate::escape::visible;
use crate::format_number::count;
use crate::html::score_cells::{headline_cells, with_headline_columns};
use crate::html::section::Section;
use crate::html::table::Column::{Number, Text};
use crate::html::table::HtmlTable;
use crate::run_results::{OtherEvaluation, RunResults};
use crate::summary::evaluated_dataset;

/// Renders a row for each other evaluation. Returns `None` if there is none.
pub(crate) fn section(results: &RunResults) -> Option<Section> {
    if results.other_evaluations.is_empty() {
        return None;
    }
    let lead = "Scores of the same model on other data, on another split or with another checkpoint, at the same threshold \
                of 0.5. Each has a page of its own, in a folder beside this page.";
    let columns = with_headline_columns(&[Text("Evaluation"), Number("Images")]);
    let rows = html! { @for other in &results.other_evaluations { (row(results, other)) } };
    let table = HtmlTable::labelled("other evaluations", &columns, rows).class("headline");
    Some(Section { id: "other-data", title: "Other evaluations", lead: lead.to_owned(), body: table.render() })
}

fn row(results: &RunResults, other: &OtherEvaluation) -> Markup {
    let OtherEvaluation { name, metrics, has_page } = other;
    html! {
        tr {
            th scope="row" {
                @if *has_page {
                    a href={ (path_segment(name)) "/" (PAGE) } { (visible(name)) }
                } @else {
                    (visible(name))
                }
                span.interval { (evaluated_dataset(metrics)) ", " (metrics.split) " split, checkpoint " (visible(&metrics.checkpoint)) }
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

/// Encodes a name of a folder for a link.
fn path_segment(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    name.bytes().map(encode).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_names_of_folders_for_links() {
        assert_eq!(path_segment("evaluate-a_b.c"), "evaluate-a_b.c");
        assert_eq!(path_segment("evaluate-ü #?"), "evaluate-%C3%BC%20%23%3F");
    }
}
