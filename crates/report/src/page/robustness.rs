//! What becomes of the verdicts when pictures are re-encoded, resized, blurred, cropped or shared.

use artifacts::schema::Robustness;
use maud::{Markup, html};

use super::widgets::{Section, broad_figure};
use crate::evidence::Evidence;
use crate::figures::Figures;
use crate::number::{count, counted};
use crate::text::visible;

/// Curves for each change; nothing where the images were not judged again.
pub(crate) fn section(evidence: &Evidence, figures: &Figures) -> Option<Section> {
    let robustness = evidence.evaluation.robustness.as_ref()?;
    let drawn = figures.robustness.as_ref()?;
    let lead = "Pictures are re-encoded, resized and cropped on their way to whoever has to judge them. A detector whose \
                verdicts flip then has learnt something that does not last.";
    let body = html! {
        (broad_figure(drawn))
        (notes(robustness))
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
            p.note { "Left out: " (visible(operation)) ", because " (visible(reason)) "." }
        }
    }
}
