//! What becomes of the verdicts when pictures are re-encoded, resized, blurred, cropped or shared.

use artifacts::schema::{FlippingImage, Robustness};
use maud::{Markup, html};

use super::widgets::Column::{Number, Words};
use super::widgets::{Section, broad_figure, head, scrolled};
use crate::evidence::Evidence;
use crate::figures::{Figures, operation_name};
use crate::number::{compact, count, counted, probability, share};
use crate::text::{file_name, visible};

/// Images with flips beyond these are in the CSV only.
const MOST_FLIPS: usize = 40;

/// Curves for each change; nothing where the images were not judged again.
pub(crate) fn section(evidence: &Evidence, figures: &Figures) -> Option<Section> {
    let robustness = evidence.evaluation.robustness.as_ref()?;
    let drawn = figures.robustness.as_ref()?;
    let lead = "Pictures are re-encoded, resized and cropped on their way to whoever has to judge them. A detector whose \
                verdicts flip then has learnt something that does not last.";
    let body = html! {
        (broad_figure(drawn))
        (notes(robustness))
        (flips(robustness))
    };
    Some(Section { id: "robustness", title: "Robustness", lead: lead.to_owned(), body })
}

fn notes(robustness: &Robustness) -> Markup {
    html! {
        p.note {
            (counted(robustness.images, "image")) " were changed and judged again. For " (count(robustness.from_files))
            " the original file was changed before it was resized for the network, for the others the stored pixels were."
        }
        @for (operation, reason) in &robustness.left_out {
            p.note { "Not judged under " (visible(operation)) ": " (visible(reason)) "." }
        }
    }
}

/// Which verdicts do not last, and under what.
fn flips(robustness: &Robustness) -> Markup {
    let flips = &robustness.flips;
    let lasting = robustness.images.saturating_sub(flips.len() as u64);
    html! {
        h3 { "Verdicts that do not last" }
        @if flips.is_empty() {
            p.note { "None: no verdict flips under any of these changes." }
        } @else {
            p {
                (counted(flips.len() as u64, "image")) " of " (count(robustness.images)) " (" (share(flips.len() as u64, robustness.images))
                ") get the other verdict under at least one of these changes; " (count(lasting)) " keep theirs under all."
            }
            details.flips {
                summary { "Which images, those that flip most often first" }
                (scrolled("verdicts that do not last", &flip_table(flips)))
            }
            p.note.files {
                @if flips.len() > MOST_FLIPS { "And " (count((flips.len() - MOST_FLIPS) as u64)) " more images. " }
                "Every flip with its score: " a href="figures/flips.csv" { "CSV" }
            }
        }
    }
}

fn flip_table(flips: &[FlippingImage]) -> Markup {
    html! {
        table {
            (head(&[Words("File"), Words("Truth"), Words("Verdict"), Number("P(fake)"), Number("Flips"), Words("Under")]))
            tbody { @for image in flips.iter().take(MOST_FLIPS) { (flipping(image)) } }
        }
    }
}

fn flipping(image: &FlippingImage) -> Markup {
    html! {
        tr {
            td.path title=(visible(&image.path)) { (file_name(&image.path)) }
            td { span class={ "label " (image.label) } { (image.label) } }
            td { span class={ "label " (image.predicted) } { (image.predicted) } }
            td.number { (probability(image.p_fake)) }
            td.number { (count(image.flips.len() as u64)) }
            td.wordy { (changes(image)) }
        }
    }
}

/// The changes under which a verdict flips, by operation: "JPEG 60, 30; blur 2".
fn changes(image: &FlippingImage) -> String {
    let groups = image.flips.chunk_by(|a, b| a.operation == b.operation);
    let words = groups.map(|group| {
        let levels: Vec<String> = group.iter().map(|flip| compact(flip.level, 2)).collect();
        format!("{} {}", operation_name(&group[0].operation), levels.join(", "))
    });
    words.collect::<Vec<_>>().join("; ")
}
