//! Wrong and uncertain verdicts. With a script they can be sorted and filtered.

use std::collections::BTreeSet;

use artifacts::schema::{Example, ExampleKind};
use maud::{Markup, html};

use super::pictures::{GALLERY, Pictures};
use super::widgets::{Section, example};
use crate::evidence::Evidence;
use crate::figures::ERRORS;
use crate::number::counted;
use crate::text::visible;

/// False alarms, missed fakes, and the images nearest to 0.5; nothing where there are none.
pub(crate) fn section(evidence: &Evidence, pictures: &Pictures) -> Option<Section> {
    if pictures.gallery.values().all(Vec::is_empty) {
        return None;
    }
    let confusion = evidence.evaluation.metrics.headline.confusion;
    let lead = "What it gets wrong at the threshold of 0.5, most confidently wrong first, and what it cannot decide.";
    let body = html! {
        (controls(pictures))
        @for kind in GALLERY {
            @let examples = pictures.gallery.get(&kind).map(Vec::as_slice).unwrap_or_default();
            section.group data-group=(kind.word()) aria-labelledby={ "group-" (kind.word()) } {
                h3 id={ "group-" (kind.word()) } { (heading(kind)) }
                p.note { (explanation(kind, confusion.false_positive, confusion.false_negative)) }
                @if examples.is_empty() {
                    p.note { "There are none." }
                } @else {
                    ul.pictures { @for shown in examples { (card(shown, pictures)) } }
                }
            }
        }
        p.note { "All wrong verdicts: " a href={ "figures/" (ERRORS) ".csv" } { (ERRORS) ".csv" } "." }
    };
    Some(Section { id: "errors", title: "Errors", lead: lead.to_owned(), body })
}

fn card(shown: &Example, pictures: &Pictures) -> Markup {
    html! {
        @if let Some(picture) = pictures.get(&shown.image) {
            li.card data-p=(shown.p_fake) data-name=(visible(&shown.path)) data-generator=(visible(&shown.generator)) {
                (example(shown, picture))
            }
        }
    }
}

fn controls(pictures: &Pictures) -> Markup {
    let generators: BTreeSet<String> = pictures
        .gallery
        .values()
        .flatten()
        .filter(|example| !example.generator.is_empty())
        .map(|example| visible(&example.generator))
        .collect();
    let shown: usize = pictures.gallery.values().map(Vec::len).sum();
    html! {
        form #gallery-controls.controls hidden autocomplete="off" aria-label="Sort and filter the gallery" {
            div.row {
                label { "Show "
                    select #gallery-kind {
                        option value="" { "all" }
                        @for kind in GALLERY { option value=(kind.word()) { (heading(kind).to_lowercase()) } }
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
                        option value="given" { "gravest first" }
                        option value="descending" { "P(fake), highest first" }
                        option value="ascending" { "P(fake), lowest first" }
                        option value="name" { "file name" }
                    }
                }
                label { "Name holds " input #gallery-search type="search" {} }
                output #gallery-count { (counted(shown as u64, "image")) }
            }
        }
    }
}

pub(crate) fn heading(kind: ExampleKind) -> &'static str {
    match kind {
        ExampleKind::Correct => "Correct verdicts",
        ExampleKind::FalseNegative => "False negatives",
        ExampleKind::FalsePositive => "False positives",
        ExampleKind::Uncertain => "Nearest to 0.5",
    }
}

fn explanation(kind: ExampleKind, false_positives: u64, false_negatives: u64) -> String {
    match kind {
        ExampleKind::FalsePositive => format!("{} called fake: false alarms.", counted(false_positives, "real image")),
        ExampleKind::FalseNegative => format!("{} called real: missed.", counted(false_negatives, "fake")),
        ExampleKind::Uncertain => "The smallest change would turn these verdicts, right or wrong.".to_owned(),
        ExampleKind::Correct => String::new(),
    }
}
