//! A row of a chart: a value with its interval.

use artifacts::schema::Interval;
use maud::{Markup, html};

use super::axes::Axes;
use super::svg::{Anchor, Stroke, circle, hover_target, line, text};
use super::theme::Colour;

/// A value with its interval.
#[derive(Clone, Debug)]
pub(crate) struct IntervalRow {
    /// The text left of the panel.
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) interval: Option<Interval>,
    /// The value as text, right of the panel.
    pub(crate) number: String,
    pub(crate) tooltip: String,
}

/// Draws a row centred on `y`. `size` is the width of the figure and the height of the row.
pub(crate) fn interval_row(axes: &Axes, y: f64, size: (f64, f64), colour: Colour, row: &IntervalRow) -> Markup {
    let (panel, x) = (axes.panel, axes.x_scale());
    html! {
        (line((panel.left, y), (panel.right(), y), Stroke::solid(Colour::Grid, 1.0)))
        (text((panel.left - 12.0, y + 4.0), Anchor::End, Colour::Text, 12.0, false, &row.name))
        @if let Some(interval) = row.interval {
            (line((x.at(interval.low), y), (x.at(interval.high), y), Stroke::solid(colour, 3.0)))
        }
        (circle((x.at(row.value), y), 5.5, colour))
        (text((panel.right() + 14.0, y + 4.0), Anchor::Start, Colour::Text, 12.0, true, &row.number))
        (hover_target((0.0, y - size.1 / 2.0), size, &row.tooltip))
    }
}
