//! HTML tables. Each is in a box that scrolls sideways on narrow screens.

use artifacts::schema::Metric;
use maud::{Markup, Render, html};

use crate::escape::visible;
use crate::format_number::{UNDEFINED, compact, count};
use crate::table::{Cell, Table};

/// A table with a row of column headings.
pub(crate) struct HtmlTable<'a> {
    name: Name<'a>,
    class: Option<&'static str>,
    columns: &'a [Column<'a>],
    rows: Markup,
    footer: Option<Markup>,
}

/// The name of a table, which screen readers read.
enum Name<'a> {
    /// A visible caption, whose element has the id `id`.
    Caption { id: &'a str, caption: Markup },
    /// A label that is not visible.
    Hidden(&'a str),
}

/// The heading of a column and the alignment of its cells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column<'a> {
    /// Left-aligned text.
    Text(&'a str),
    /// Right-aligned numbers.
    Number(&'a str),
    /// Right-aligned numbers, with an explanation as a tooltip of the heading.
    NumberWithTooltip(&'a str, &'static str),
    /// Right-aligned values of a metric, with its description as a tooltip of the heading.
    Metric(&'static Metric),
}

impl<'a> HtmlTable<'a> {
    /// Creates a table with a caption, whose element gets the id `id`. `rows` are the `tr` elements.
    pub(crate) fn captioned(id: &'a str, caption: Markup, columns: &'a [Column<'a>], rows: Markup) -> HtmlTable<'a> {
        HtmlTable { name: Name::Caption { id, caption }, class: None, columns, rows, footer: None }
    }

    /// Creates a table without a visible caption. `label` names it for screen readers.
    pub(crate) fn labelled(label: &'a str, columns: &'a [Column<'a>], rows: Markup) -> HtmlTable<'a> {
        HtmlTable { name: Name::Hidden(label), class: None, columns, rows, footer: None }
    }

    /// Sets the CSS class of the table.
    pub(crate) fn class(self, class: &'static str) -> HtmlTable<'a> {
        HtmlTable { class: Some(class), ..self }
    }

    /// Adds rows below the body.
    pub(crate) fn footer(self, rows: Markup) -> HtmlTable<'a> {
        HtmlTable { footer: Some(rows), ..self }
    }
}

impl Render for HtmlTable<'_> {
    fn render(&self) -> Markup {
        let (caption_id, label) = match &self.name {
            Name::Caption { id, .. } => (Some(*id), None),
            Name::Hidden(label) => (None, Some(*label)),
        };
        html! {
            div.scroll tabindex="0" role="region" aria-labelledby=[caption_id] aria-label=[label] {
                table class=[self.class] {
                    @if let Name::Caption { id, caption } = &self.name { caption id=(id) { span.wrapped { (caption) } } }
                    (column_headings(self.columns))
                    tbody { (self.rows) }
                    @if let Some(footer) = &self.footer { tfoot { (footer) } }
                }
            }
        }
    }
}

/// Renders a row of column headings.
pub(crate) fn column_headings(columns: &[Column<'_>]) -> Markup {
    html! {
        thead {
            tr {
                @for column in columns {
                    @match column {
                        Column::Text(name) => th scope="col" { (name) },
                        Column::Number(name) => th.number scope="col" { (name) },
                        Column::Metric(metric) => th.number scope="col" title=(metric.description()) { (metric.name) },
                        Column::NumberWithTooltip(name, tooltip) => {
                            th.number scope="col" { abbr title=(tooltip) { (name) } }
                        }
                    }
                }
            }
        }
    }
}

/// Renders the numbers behind a figure.
pub(crate) fn number_table(table: &Table) -> Markup {
    let names: Vec<String> = table.columns.iter().map(|column| column.replace('_', " ")).collect();
    let columns: Vec<Column<'_>> = names.iter().map(|name| Column::Text(name)).collect();
    let rows = html! { @for row in &table.rows { tr { @for cell in row { (number_cell(cell)) } } } };
    HtmlTable::labelled("numbers", &columns, rows).render()
}

fn number_cell(cell: &Cell) -> Markup {
    match cell {
        Cell::Text(text) => html! { td { (visible(text)) } },
        Cell::Number(value) => html! { td.number { (value.map_or(UNDEFINED.to_owned(), |v| compact(v, 4))) } },
        Cell::Count(value) => html! { td.number { (count(*value)) } },
    }
}
