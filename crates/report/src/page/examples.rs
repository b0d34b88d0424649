//! Correct verdicts: real images above, fakes below, as in the slides that the baseline was presented with.

use maud::{Markup, html};

use super::pictures::Pictures;
use super::widgets::{Section, example};
use artifacts::schema::Example;

/// Two rows of correct verdicts; nothing where there are none.
pub(crate) fn section(pictures: &Pictures) -> Option<Section> {
    if pictures.correct_real.is_empty() && pictures.correct_fake.is_empty() {
        return None;
    }
    let lead = "The images it is most sure of, and right about. T is the truth, P the prediction; shown are the pixels \
                that the network saw.";
    let body = html! {
        (row("Real images called real", &pictures.correct_real, pictures))
        (row("Fakes called fake", &pictures.correct_fake, pictures))
    };
    Some(Section { id: "correct", title: "Correct verdicts", lead: lead.to_owned(), body })
}

fn row(heading: &str, examples: &[Example], pictures: &Pictures) -> Markup {
    html! {
        h3 { (heading) }
        @if examples.is_empty() {
            p.note { "There are none." }
        } @else {
            ul.pictures {
                @for (shown, picture) in examples.iter().filter_map(|e| Some((e, pictures.get(&e.image)?))) {
                    li { (example(shown, picture)) }
                }
            }
        }
    }
}
