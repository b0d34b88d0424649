//! The branches of a detector: each alone, all but one, and all of them.

use artifacts::schema::{AblationRow, Interval};
use maud::{Markup, html};

use crate::escape::visible;
use crate::format_number::{count, score};
use crate::html::section::Section;
use crate::html::table::Column::{Number, NumberWithTooltip, Text};
use crate::html::table::HtmlTable;
use crate::run_results::RunResults;

/// Renders the table of branches. Returns `None` for a detector without branches.
pub(crate) fn section(results: &RunResults) -> Option<Section> {
    let rows = &results.evaluation.metrics.runs.first()?.ablation;
    if rows.is_empty() {
        return None;
    }
    let lead = "The detector combines the margins of several branches. A branch that improves nothing here is not needed \
                for images like these.";
    let columns = [
        Text("Branches"),
        NumberWithTooltip("Images", "images that at least one of the branches has features of"),
        NumberWithTooltip("ROC-AUC", "over all images; higher is better"),
        NumberWithTooltip("Difference", "this ROC-AUC minus that of all branches in the fusion"),
        Number("p"),
    ];
    let caption = html! { "ROC-AUC of the branches, with 95% intervals and DeLong's test" };
    let body = html! { @for found in rows { (row(found)) } };
    let table = HtmlTable::captioned("by-branch", caption, &columns, body);
    let note = html! {
        p.note {
            "Subsets use the branches as they were trained together; no branch was trained again. The weights of the \
             branches were fitted to predictions for held-out generators. A branch that is not part of the fusion, such as \
             metadata, which anyone can write, does not influence the verdict. The last row shows what the score would be \
             with it."
        }
    };
    Some(Section { id: "branches", title: "Branches", lead: lead.to_owned(), body: html! { (table) (note) } })
}

fn row(found: &AblationRow) -> Markup {
    html! {
        tr {
            th scope="row" { (visible(&found.branches.join(" + "))) }
            td.number { (count(found.images)) }
            td.number { (score(found.roc_auc)) " " (interval(found.interval.as_ref())) }
            td.number { (score(found.difference)) " " (interval(found.difference_interval.as_ref())) }
            td.number { (score(found.p)) }
        }
    }
}

fn interval(interval: Option<&Interval>) -> Markup {
    html! {
        @if let Some(interval) = interval {
            span.interval { "[" (score(Some(interval.low))) ", " (score(Some(interval.high))) "]" }
        }
    }
}
