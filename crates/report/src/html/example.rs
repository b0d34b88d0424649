//! An example image with its caption.

use artifacts::schema::Example;
use maud::{Markup, html};

use super::class_label::class_label;
use super::image::lazy_image;
use crate::embedded_image::EmbeddedImage;
use crate::escape::{file_name, visible};
use crate::format_number::probability;

/// Renders an example image with its caption.
pub(crate) fn example(example: &Example, image: &EmbeddedImage) -> Markup {
    let alt = format!(
        "truth {}, predicted {}, P(fake) {}: {}",
        example.label,
        example.predicted,
        probability(example.p_fake),
        file_name(&example.path)
    );
    html! {
        figure.example {
            (lazy_image(image, &alt))
            figcaption { (example_caption(example)) }
        }
    }
}

/// Renders truth (T), prediction (P), P(fake), file name and generator of an example.
pub(crate) fn example_caption(example: &Example) -> Markup {
    html! {
        span.verdicts {
            span { abbr title="truth" { "T" } " " (class_label(example.label)) }
            span { abbr title="prediction" { "P" } " " (class_label(example.predicted)) }
        }
        span.p { "P(fake) " (probability(example.p_fake)) }
        span.name title=(visible(&example.path)) { (file_name(&example.path)) }
        @if !example.generator.is_empty() { span.generator { (visible(&example.generator)) } }
    }
}
