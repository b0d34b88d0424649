//! The box that lists the limitations of a model or a comparison.

use maud::{Markup, html};

use crate::limitations::Limitation;

/// Renders the limitations under a heading.
pub(crate) fn limitation_box(heading: &str, limitations: &[Limitation]) -> Markup {
    html! {
        div.limits {
            h3 { (heading) }
            ul { @for limitation in limitations { li { strong { (limitation.topic) } ": " (limitation.reason) "." } } }
        }
    }
}
