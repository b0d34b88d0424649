//! Figures in a page: the drawing with its heading, caption, download links and numbers.

use maud::{Markup, html};

use super::table::number_table;
use crate::figure::Figure;

/// The maximum number of rows of a table in the page. Longer tables are in the CSV file only.
const MAX_TABLE_ROWS: usize = 60;

/// Renders a figure with its heading, caption, files and numbers.
pub(crate) fn figure(figure: &Figure) -> Markup {
    figure_with_content(figure, "", &figure.inline_svg())
}

/// Like [`figure`], but the drawing scrolls sideways on narrow screens.
pub(crate) fn wide_figure(figure: &Figure) -> Markup {
    let scrolling = html! {
        div.broad tabindex="0" role="region" aria-label=(figure.title) { (figure.inline_svg()) }
    };
    figure_with_content(figure, "", &scrolling)
}

/// Like [`figure`], with `content` in place of the drawing and an additional CSS class.
pub(crate) fn figure_with_content(figure: &Figure, class: &str, content: &Markup) -> Markup {
    html! {
        figure class={ "plot " (class) } {
            h3 { (figure.title) }
            (content)
            figcaption id={ (figure.name) "-caption" } {
                (figure.description)
                " "
                (file_links(&figure.name))
            }
            @if !figure.numbers.rows.is_empty() && figure.numbers.rows.len() <= MAX_TABLE_ROWS {
                details.numbers { summary { "Show the numbers" } (number_table(&figure.numbers)) }
            }
        }
    }
}

/// Renders links to the files of a figure.
pub(crate) fn file_links(name: &str) -> Markup {
    html! {
        span.files {
            @for kind in ["svg", "csv"] { a href={ "figures/" (name) "." (kind) } { (kind.to_uppercase()) } " " }
        }
    }
}
