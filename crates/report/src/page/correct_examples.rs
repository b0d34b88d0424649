//! Correctly classified images: a row of real images and a row of fakes.

use artifacts::schema::Example;
use maud::{Markup, html};

use super::selected_examples::SelectedExamples;
use crate::html::example::example;
use crate::html::section::Section;

/// Renders both rows. Returns `None` if there are no correct examples.
pub(crate) fn section(examples: &SelectedExamples) -> Option<Section> {
    if examples.correct_real.is_empty() && examples.correct_fake.is_empty() {
        return None;
    }
    // Examples without heat maps are of a detector that Candling did not run.
    let pixels = match examples.heat_map_layer.as_str() {
        "" => "The images are cut to a square and scaled down.",
        _ => "The images show the pixels that the network received.",
    };
    let lead = format!(
        "The correct predictions in which the model is most confident. T is the truth and P the prediction. {pixels}"
    );
    let body = html! {
        (row("Real images called real", &examples.correct_real, examples))
        (row("Fakes called fake", &examples.correct_fake, examples))
    };
    Some(Section { id: "correct", title: "Correct predictions", lead, body })
}

fn row(heading: &str, row: &[Example], examples: &SelectedExamples) -> Markup {
    html! {
        h3 { (heading) }
        @if row.is_empty() {
            p.note { "There are none." }
        } @else {
            ul.pictures {
                @for (shown, image) in row.iter().filter_map(|e| Some((e, examples.image(&e.image)?))) {
                    li { (example(shown, image)) }
                }
            }
        }
    }
}
