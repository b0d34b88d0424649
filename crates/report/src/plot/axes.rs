//! The axes of a chart and the panel between them.

use maud::{Markup, html};

use super::scale::{Scale, ticks};
use super::svg::{Anchor, Stroke, line, text};
use super::theme::Colour;

/// Font size of tick labels and axis titles, in pixels.
const FONT_SIZE: f64 = 12.0;

/// One axis with its range and ticks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// The quantity with its unit.
    pub(crate) title: String,
    /// The values at both ends.
    pub(crate) domain: [f64; 2],
    /// The values of the ticks, with their labels.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Creates an axis with at most about `count` ticks at round values.
    pub(crate) fn new(title: impl Into<String>, domain: [f64; 2], count: usize) -> Axis {
        Axis { title: title.into(), domain, ticks: ticks(domain[0], domain[1], count) }
    }

    /// Creates an axis from 0 to 1, for rates and probabilities.
    pub(crate) fn unit(title: impl Into<String>) -> Axis {
        Axis::new(title, [0.0, 1.0], 5)
    }

    /// Creates an axis without title and ticks, for charts whose rows are labelled by name.
    pub(crate) fn none() -> Axis {
        Axis { title: String::new(), domain: [0.0, 1.0], ticks: Vec::new() }
    }
}

/// The rectangle in which the data are drawn, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Panel {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Panel {
    /// Returns the x coordinate of the right edge.
    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Returns the y coordinate of the lower edge.
    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// A panel with its axes.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    pub(crate) panel: Panel,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

impl Axes {
    /// Returns the scale from x values to pixels.
    pub(crate) fn x_scale(&self) -> Scale {
        Scale { domain: self.x.domain, range: [self.panel.left, self.panel.right()] }
    }

    /// Returns the scale from y values to pixels.
    pub(crate) fn y_scale(&self) -> Scale {
        Scale { domain: self.y.domain, range: [self.panel.bottom(), self.panel.top] }
    }

    /// Converts a point from values to pixels.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x_scale().at(x), self.y_scale().at(y))
    }

    /// Draws grid lines, ticks and titles. Draw the data after them.
    pub(crate) fn draw(&self) -> Markup {
        let Panel { left, top, .. } = self.panel;
        let (right, bottom) = (self.panel.right(), self.panel.bottom());
        let (x_scale, y_scale) = (self.x_scale(), self.y_scale());
        html! {
            @for (value, label) in &self.y.ticks {
                @let y = y_scale.at(*value);
                (line((left, y), (right, y), Stroke::solid(Colour::Grid, 1.0)))
                (text((left - 8.0, y + 4.0), Anchor::End, Colour::Muted, FONT_SIZE, false, label))
            }
            @for (value, label) in &self.x.ticks {
                @let x = x_scale.at(*value);
                (line((x, bottom), (x, bottom + 4.0), Stroke::solid(Colour::Axis, 1.0)))
                (text((x, bottom + 18.0), Anchor::Middle, Colour::Muted, FONT_SIZE, false, label))
            }
            (line((left, bottom), (right, bottom), Stroke::solid(Colour::Axis, 1.0)))
            (text(((left + right) / 2.0, bottom + 38.0), Anchor::Middle, Colour::Text, FONT_SIZE, false, &self.x.title))
            (text((left - 30.0, top - 14.0), Anchor::Start, Colour::Text, FONT_SIZE, false, &self.y.title))
        }
    }
}
