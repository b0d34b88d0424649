//! The word "real" or "fake" in the colour of its class.

use artifacts::Label;
use maud::{Markup, html};

/// Renders a class label in its colour.
pub(crate) fn class_label(label: Label) -> Markup {
    html! { span class={ "label " (label) } { (label) } }
}
