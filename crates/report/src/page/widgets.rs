//! Pieces that several sections of the page are made of.

use artifacts::schema::{Example, Interval, Metric};
use maud::{Markup, html};

use crate::figures::Figure;
use crate::number::{self, probability, score};
use crate::picture::Picture;
use crate::table::{Cell, Table};
use crate::text::{file_name, visible};

/// Tables with more rows than this are in the CSV only.
const MOST_ROWS: usize = 60;

/// A section that the table of contents leads to.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What the reader will see here and why it matters, in a sentence or two.
    pub(crate) lead: String,
    pub(crate) body: Markup,
}

impl Section {
    /// The section as the page shows it.
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

/// A figure with its heading, what is to be seen in it, its numbers, and its files.
pub(crate) fn figure(figure: &Figure) -> Markup {
    figure_with(figure, "", &figure.inline())
}

/// The same with more than the drawing in its middle, and a class of its own.
pub(crate) fn figure_with(figure: &Figure, class: &str, middle: &Markup) -> Markup {
    let stem = format!("figures/{}", figure.name);
    html! {
        figure class={ "plot " (class) } {
            h3 { (figure.title) }
            (middle)
            figcaption id={ (figure.name) "-caption" } {
                (figure.description)
                " "
                span.files {
                    @for kind in ["svg", "png", "csv"] { a href={ (stem) "." (kind) } { (kind.to_uppercase()) } " " }
                }
            }
            @if !figure.numbers.rows.is_empty() && figure.numbers.rows.len() <= MOST_ROWS {
                details.numbers { summary { "Numbers" } (table(&figure.numbers)) }
            }
        }
    }
}

/// A figure that is scrolled sideways where the screen is narrow.
pub(crate) fn broad_figure(drawn: &Figure) -> Markup {
    let scrolled = html! {
        div.broad tabindex="0" role="region" aria-label=(drawn.title) { (drawn.inline()) }
    };
    figure_with(drawn, "", &scrolled)
}

/// A table of plain numbers.
pub(crate) fn table(table: &Table) -> Markup {
    let names: Vec<String> = table.columns.iter().map(|column| column.replace('_', " ")).collect();
    let columns: Vec<Column<'_>> = names.iter().map(|name| Column::Words(name)).collect();
    scrolled(
        "numbers",
        &html! {
            table {
                (head(&columns))
                tbody {
                    @for row in &table.rows {
                        tr { @for cell in row { (table_cell(cell)) } }
                    }
                }
            }
        },
    )
}

/// A table that is scrolled sideways where the screen is narrow, and what it is called where no caption says so.
pub(crate) fn scrolled(label: &str, table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// The same with a caption, whose id is `id`, above the table's `rows`.
pub(crate) fn captioned(id: &str, class: Option<&str>, caption: &Markup, rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby=(id) {
            table class=[class] { caption id=(id) { (caption) } (rows) }
        }
    }
}

/// What stands above a column of a table, and in it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column<'a> {
    /// Words.
    Words(&'a str),
    /// Numbers, which stand at the right.
    Number(&'a str),
    /// Values of a metric, whose meaning the heading shows as a tooltip.
    Metric(&'static Metric),
}

/// The head of a table.
pub(crate) fn head(columns: &[Column<'_>]) -> Markup {
    html! {
        thead {
            tr {
                @for column in columns {
                    @match column {
                        Column::Words(name) => th scope="col" { (name) },
                        Column::Number(name) => th.number scope="col" { (name) },
                        Column::Metric(metric) => th.number scope="col" title=(metric.description()) { (metric.name) },
                    }
                }
            }
        }
    }
}

/// The columns of a table of the headline's scores, after those that come first.
pub(crate) fn with_headline<'a>(first: &[Column<'a>]) -> Vec<Column<'a>> {
    first.iter().copied().chain(Metric::headline().map(Column::Metric)).collect()
}

fn table_cell(cell: &Cell) -> Markup {
    match cell {
        Cell::Text(text) => html! { td { (visible(text)) } },
        Cell::Number(value) => {
            html! { td.number { (value.map_or(number::UNDEFINED.to_owned(), |v| number::compact(v, 4))) } }
        }
        Cell::Count(count) => html! { td.number { (number::count(*count)) } },
    }
}

/// A score with its interval in a table.
pub(crate) fn score_cell(value: Option<f64>, interval: Option<&Interval>) -> Markup {
    html! {
        td.number {
            (score(value))
            span.interval {
                @if let Some(interval) = interval { "[" (score(Some(interval.low))) ", " (score(Some(interval.high))) "]" }
            }
        }
    }
}

/// An example's picture, captioned as the field's slides do: T truth, P prediction, P(fake).
pub(crate) fn example(example: &Example, picture: &Picture) -> Markup {
    let name = file_name(&example.path);
    html! {
        figure.example {
            img src=(picture.address) width=(picture.width) height=(picture.height) loading="lazy" decoding="async"
                alt={ "truth " (example.label) ", predicted " (example.predicted) ", P(fake) " (probability(example.p_fake))
                    ": " (name) } {}
            figcaption { (caption(example)) }
        }
    }
}

/// The words under an example.
pub(crate) fn caption(example: &Example) -> Markup {
    html! {
        span.verdicts {
            span { abbr title="truth" { "T" } " " span class={ "label " (example.label) } { (example.label) } }
            span { abbr title="prediction" { "P" } " " span class={ "label " (example.predicted) } { (example.predicted) } }
        }
        span.p { "P(fake) " (probability(example.p_fake)) }
        span.name title=(visible(&example.path)) { (file_name(&example.path)) }
        @if !example.generator.is_empty() { span.generator { (visible(&example.generator)) } }
    }
}

/// Names and values, side by side.
pub(crate) fn facts(facts: &[(String, Markup)]) -> Markup {
    html! {
        dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
    }
}
