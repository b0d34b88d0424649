//! Image elements.

use maud::{Markup, html};

use crate::embedded_image::EmbeddedImage;

/// Renders an image that the browser decodes when it comes near the screen. `alt` describes it.
pub(crate) fn lazy_image(image: &EmbeddedImage, alt: &str) -> Markup {
    html! {
        img src=(image.data_url) width=(image.width) height=(image.height) loading="lazy" decoding="async" alt=(alt) {}
    }
}
