//! A section of a page.

use maud::{Markup, html};

/// A section with an entry in the table of contents.
pub(crate) struct Section {
    /// The element's id.
    pub(crate) id: &'static str,
    /// The heading.
    pub(crate) title: &'static str,
    /// What the section shows and why it matters, in a sentence or two.
    pub(crate) lead: String,
    /// The content below the lead.
    pub(crate) body: Markup,
}

impl Section {
    /// Renders the section with its heading.
    pub(crate) fn render(&self) -> Markup {
        html! {
            section id=(self.id) aria-labelledby={ (self.id) "-heading" } {
                h2 id={ (self.id) "-heading" } { (self.title) }
                @if !self.lead.is_empty() { p.lead { (self.lead) } }
                (self.body)
            }
        }
    }
}
