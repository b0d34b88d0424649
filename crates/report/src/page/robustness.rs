//! How the scores and verdicts change when the images are degraded.

use artifacts::schema::{FlippingImage, Robustness};
use maud::{Markup, html};

use crate::degradation::operation_name;
use crate::escape::{file_name, visible};
use crate::figures::Figures;
use crate::format_number::{compact, count, count_noun, probability, share};
use crate::html::class_label::class_label;
use crate::html::figure::wide_figure;
use crate::html::section::Section;
use crate::html::table::Column::{Number, Text};
use crate::html::table::HtmlTable;
use crate::run_results::RunResults;

/// The maximum number of images in the table. The others are in the CSV file only.
const MAX_ROWS: usize = 40;

/// Renders the curves and the changed verdicts. Returns `None` if robustness was not measured.
pub(crate) fn section(results: &RunResults, figures: &Figures) -> Option<Section> {
    let robustness = results.evaluation.robustness.as_ref()?;
    let drawn = figures.robustness.as_ref()?;
    let lead = "Images are often re-encoded, resized or cropped before somebody checks them. A reliable detector gives the same \
                verdict before and after such changes.";
    let body = html! {
        (wide_figure(drawn))
        (notes(robustness))
        (changed_verdicts(robustness))
    };
    Some(Section { id: "robustness", title: "Robustness", lead: lead.to_owned(), body })
}

fn notes(robustness: &Robustness) -> Markup {
    let from_pixels = robustness.images.saturating_sub(robustness.from_files);
    html! {
        p.note {
            (count_noun(robustness.images, "image")) " were changed and evaluated again. For " (count(robustness.from_files))
            " of them the original file was changed and then resized; for the other " (count(from_pixels))
            " the resized pixels were changed, because the original file was not available."
        }
        @for (operation, reason) in &robustness.left_out {
            p.note { "Not measured for " (visible(operation)) ": " (visible(reason)) "." }
        }
    }
}

fn changed_verdicts(robustness: &Robustness) -> Markup {
    let flips = &robustness.flips;
    let changed = flips.len() as u64;
    let unchanged = robustness.images.saturating_sub(changed);
    html! {
        h3 { "Changed verdicts" }
        @if flips.is_empty() {
            p.note { "None of these changes alters a verdict." }
        } @else {
            p {
                "For " (count(changed)) " of " (count_noun(robustness.images, "image")) " ("
                (share(changed, robustness.images)) "), at least one of these changes alters the verdict. For the other "
                (count(unchanged)) " none does."
            }
            details.flips {
                summary { "Images whose verdict changes most often" }
                (flip_table(flips))
            }
            p.note.files {
                @if flips.len() > MAX_ROWS { (count((flips.len() - MAX_ROWS) as u64)) " more images are in the CSV file. " }
                "Every changed verdict with its score: " a href="figures/flips.csv" { "CSV" }
            }
        }
    }
}

fn flip_table(flips: &[FlippingImage]) -> Markup {
    let columns = [
        Text("File"),
        Text("Truth"),
        Text("Verdict"),
        Number("P(fake)"),
        Number("Changed verdicts"),
        Text("Changed by"),
    ];
    let rows = html! { @for image in flips.iter().take(MAX_ROWS) { (flip_row(image)) } };
    html! { (HtmlTable::labelled("images whose verdict changes", &columns, rows)) }
}

fn flip_row(image: &FlippingImage) -> Markup {
    html! {
        tr {
            td.path title=(visible(&image.path)) { (file_name(&image.path)) }
            td { (class_label(image.label)) }
            td { (class_label(image.predicted)) }
            td.number { (probability(image.p_fake)) }
            td.number { (count(image.flips.len() as u64)) }
            td.wordy { (degradations(image)) }
        }
    }
}

/// Lists the degradations that change the verdict, such as "JPEG 60, 30; blur 2".
fn degradations(image: &FlippingImage) -> String {
    let groups = image.flips.chunk_by(|a, b| a.operation == b.operation);
    let texts = groups.map(|group| {
        let levels: Vec<String> = group.iter().map(|flip| compact(flip.level, 2)).collect();
        format!("{} {}", operation_name(&group[0].operation), levels.join(", "))
    });
    texts.collect::<Vec<_>>().join("; ")
}
