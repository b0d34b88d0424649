//! A list of names with their values.

use maud::{Markup, html};

/// Renders names and values in columns.
pub(crate) fn definition_list(entries: &[(String, Markup)]) -> Markup {
    html! {
        dl.facts { @for (name, value) in entries { div { dt { (name) } dd { (value) } } } }
    }
}
