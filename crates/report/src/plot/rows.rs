//! Values below each other, each with its interval.

use artifacts::schema::Interval;
use maud::{Markup, html};

use super::shapes::{Anchor, Stroke, circle, hover_target, line, text};
use super::{Axes, Ink};

/// One row: its name at the left of the panel, a value with its interval, and its number at the right.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) interval: Option<Interval>,
    /// The value as it is written.
    pub(crate) number: String,
    /// What is said where it is pointed at.
    pub(crate) words: String,
}

/// Draws a row around `y`; `size` is the width of the figure and the height of the row.
pub(crate) fn interval_row(axes: &Axes, y: f64, size: (f64, f64), ink: Ink, row: &Row) -> Markup {
    let (panel, x) = (axes.panel, axes.x_scale());
    html! {
        (line((panel.left, y), (panel.right(), y), Stroke::solid(Ink::Grid, 1.0)))
        (text((panel.left - 12.0, y + 4.0), Anchor::End, Ink::Text, 12.0, false, &row.name))
        @if let Some(interval) = row.interval {
            (line((x.at(interval.low), y), (x.at(interval.high), y), Stroke::solid(ink, 3.0)))
        }
        (circle((x.at(row.value), y), 5.5, ink))
        (text((panel.right() + 14.0, y + 4.0), Anchor::Start, Ink::Text, 12.0, true, &row.number))
        (hover_target((0.0, y - size.1 / 2.0), size, &row.words))
    }
}
