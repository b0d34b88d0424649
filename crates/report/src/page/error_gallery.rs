//! The error gallery: wrong and uncertain predictions. The page's script sorts and filters it.

use std::collections::BTreeSet;

use artifacts::schema::{Example, ExampleKind};
use maud::{Markup, html};

use super::selected_examples::{GALLERY_KINDS, SelectedExamples};
use crate::escape::visible;
use crate::format_number::count_noun;
use crate::html::example::example;
use crate::html::section::Section;
use crate::run_results::RunResults;
use crate::tables::WRONG_PREDICTIONS;

/// Renders false positives, false negatives and the images nearest to 0.5. Returns `None` if there are none.
pub(crate) fn section(results: &RunResults, examples: &SelectedExamples) -> Option<Section> {
    if examples.gallery.values().all(Vec::is_empty) {
        return None;
    }
    let confusion = results.evaluation.metrics.headline.confusion;
    let lead =
        "Wrong predictions at the threshold of 0.5, most confident first, and the images nearest to the threshold.";
    let body = html! {
        (controls(examples))
        @for kind in GALLERY_KINDS {
            @let of_kind = examples.gallery.get(&kind).map(Vec::as_slice).unwrap_or_default();
            section.group data-group=(kind.word()) aria-labelledby={ "group-" (kind.word()) } {
                h3 id={ "group-" (kind.word()) } { (heading(kind)) }
                p.note { (explanation(kind, confusion.false_positive, confusion.false_negative)) }
                @if of_kind.is_empty() {
                    p.note { "There are none." }
                } @else {
                    ul.pictures { @for shown in of_kind { (card(shown, examples)) } }
                }
            }
        }
        p.note {
            "All wrong predictions: "
            a href={ "figures/" (WRONG_PREDICTIONS) ".csv" } { (WRONG_PREDICTIONS) ".csv" }
        }
    };
    Some(Section { id: "errors", title: "Errors", lead: lead.to_owned(), body })
}

fn card(shown: &Example, examples: &SelectedExamples) -> Markup {
    html! {
        @if let Some(image) = examples.image(&shown.image) {
            li.card data-p=(shown.p_fake) data-name=(visible(&shown.path)) data-generator=(visible(&shown.generator)) {
                (example(shown, image))
            }
        }
    }
}

fn controls(examples: &SelectedExamples) -> Markup {
    let generators: BTreeSet<String> = examples
        .gallery
        .values()
        .flatten()
        .filter(|example| !example.generator.is_empty())
        .map(|example| visible(&example.generator))
        .collect();
    let shown: usize = examples.gallery.values().map(Vec::len).sum();
    html! {
        form #gallery-controls.controls hidden autocomplete="off" aria-label="Sort and filter the errors" {
            div.row {
                label { "Show "
                    select #gallery-kind {
                        option value="" { "all" }
                        @for kind in GALLERY_KINDS { option value=(kind.word()) { (heading(kind).to_lowercase()) } }
                    }
                }
                @if generators.len() > 1 {
                    label { "Generator "
                        select #gallery-generator {
                            option value="" { "any" }
                            @for generator in &generators { option value=(generator) { (generator) } }
                        }
                    }
                }
                label { "Sort by "
                    select #gallery-sort {
                        option value="given" { "most confident first" }
                        option value="descending" { "P(fake), highest first" }
                        option value="ascending" { "P(fake), lowest first" }
                        option value="name" { "file name" }
                    }
                }
                label { "File name contains " input #gallery-search type="search" {} }
                output #gallery-count { (count_noun(shown as u64, "image")) }
            }
        }
    }
}

fn heading(kind: ExampleKind) -> &'static str {
    match kind {
        ExampleKind::Correct => "Correct predictions",
        ExampleKind::FalseNegative => "False negatives",
        ExampleKind::FalsePositive => "False positives",
        ExampleKind::Uncertain => "Nearest to 0.5",
    }
}

fn explanation(kind: ExampleKind, false_positives: u64, false_negatives: u64) -> String {
    match kind {
        ExampleKind::FalsePositive => {
            format!("{} called fake (false alarms).", count_noun(false_positives, "real image"))
        }
        ExampleKind::FalseNegative => format!("{} called real (missed fakes).", count_noun(false_negatives, "fake")),
        ExampleKind::Uncertain => {
            "Correct and wrong predictions that the smallest change of the score would reverse.".to_owned()
        }
        ExampleKind::Correct => String::new(),
    }
}
