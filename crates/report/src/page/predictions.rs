//! The predictions that were read from a file: what they are, what was left out, and what the report cannot show.

use artifacts::schema::{Judged, Omitted};
use maud::{Markup, html};

use crate::escape::visible;
use crate::format_number::count;
use crate::html::definition_list::definition_list;
use crate::html::section::Section;
use crate::html::table::Column::{Number, Text};
use crate::html::table::HtmlTable;
use crate::judged;
use crate::run_results::RunResults;

/// Renders the section. Returns `None` for a detector of Candling.
pub(crate) fn section(results: &RunResults) -> Option<Section> {
    let metrics = &results.evaluation.metrics;
    let judged = metrics.judged.as_ref()?;
    let lead =
        "These predictions were made by another program and read from a file. Candling did not run the detector.";
    let has_fit = metrics.runs.first().is_some_and(|run| run.fitted.is_some());
    let body = html! {
        (definition_list(&properties(judged)))
        (left_out(judged))
        h3 { "What this report cannot show" }
        @for missing in missing(judged, has_fit) { p { (missing) } }
    };
    Some(Section { id: "predictions", title: "Predictions", lead: lead.to_owned(), body })
}

fn properties(judged: &Judged) -> Vec<(String, Markup)> {
    let entry = |name: &str, text: String| (name.to_owned(), html! { (text) });
    vec![
        entry("Detector", visible(&judged.model)),
        entry(if judged.files.len() == 1 { "File" } else { "Files" }, judged::files(judged)),
        entry("Scores", judged::score_kind(judged)),
        entry("Threshold", judged::threshold(judged)),
        entry("Labels", judged::labels(judged).to_owned()),
    ]
}

fn left_out(judged: &Judged) -> Markup {
    let all = [
        (&judged.without_prediction, "Images without a prediction", "left out of all scores"),
        (&judged.without_image, "Rows that match no image", "left out of all scores"),
        (
            &judged.not_finite,
            "Rows whose score is empty, NaN or infinite",
            "their images count as without a prediction",
        ),
        (&judged.repeated, "Rows that repeat an earlier row", "left out"),
        (&judged.other_splits, "Rows for images of other splits", "left out"),
        (&judged.identical, "Images whose file equals that of an earlier image", "left out, as in ingest"),
        (&judged.unlabelled, "Images without a label", "left out"),
    ];
    let columns = [Text("What"), Number("Number"), Text("Treatment"), Text("The first ones")];
    // The first two are always shown: 0 is an answer too.
    let shown = all.iter().enumerate().filter(|(index, (omitted, ..))| *index < 2 || omitted.count > 0);
    let rows = html! {
        @for (_, (omitted, what, treatment)) in shown {
            tr {
                th scope="row" { (what) }
                td.number { (count(omitted.count)) }
                td { @if omitted.count > 0 { (treatment) } }
                td.path { (examples(omitted)) }
            }
        }
    };
    let caption = html! { (count(judged.rows)) " rows for " (count(judged.images)) " images" };
    html! { (HtmlTable::captioned("left-out-caption", caption, &columns, rows)) }
}

fn examples(omitted: &Omitted) -> String {
    let names: Vec<String> = omitted.first.iter().map(|path| visible(path)).collect();
    names.join(", ")
}

/// Lists what cannot be shown, and why.
fn missing(judged: &Judged, has_fit: bool) -> Vec<Markup> {
    let mut missing = vec![
        html! { strong { "Heat maps and robustness" } ": both need the detector itself, to run it on other images." },
        html! {
            strong { "Training" } ": how and on which images the detector was trained is unknown. If it saw these images, its scores are \
             too good."
        },
    ];
    if !has_fit {
        missing.push(html! {
            strong { "A calibration and an inconclusive band" } ": both are fitted on validation images. Add rows with " code { "val" }
            " in a column " code { "split" } " to the file. The test images choose nothing."
        });
    }
    if judged.saturated > 0 {
        missing.push(html! {
            strong { "How certain the detector is of " (count(judged.saturated)) " images" } ": their probability is exactly 0 or 1 in the \
             file, so their order is lost. Write logits, or more digits."
        });
    }
    if !judged.ids_from_content {
        missing.push(html! {
            strong { "A comparison with evaluations of the same images under other paths" } ": without " code { "--data" }
            ", images are known by their paths only."
        });
    }
    missing
}
