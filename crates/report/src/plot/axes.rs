//! A panel: the rectangle in which data are drawn, with its axes.

use maud::{Markup, html};

use super::shapes::{Anchor, Stroke, line, text};
use super::{Ink, Scale, ticks};

/// Size of tick labels and axis titles in pixels.
const LABEL: f64 = 12.0;

/// One axis: what it measures, between which values.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// What is measured, with its unit.
    pub(crate) title: String,
    /// Values at the two ends.
    pub(crate) domain: [f64; 2],
    /// Values that are written, with their texts.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis with about `count` round ticks.
    pub(crate) fn new(title: impl Into<String>, domain: [f64; 2], count: usize) -> Axis {
        Axis { title: title.into(), domain, ticks: ticks(domain[0], domain[1], count) }
    }

    /// An axis for rates and probabilities.
    pub(crate) fn unit(title: impl Into<String>) -> Axis {
        Axis::new(title, [0.0, 1.0], 5)
    }

    /// No axis, where rows stand below each other by their names.
    pub(crate) fn none() -> Axis {
        Axis { title: String::new(), domain: [0.0, 1.0], ticks: Vec::new() }
    }
}

/// The rectangle of a panel in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Panel {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Panel {
    /// Right edge.
    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Lower edge.
    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// A panel with both its axes.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    pub(crate) panel: Panel,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

impl Axes {
    /// Pixels of x values.
    pub(crate) fn x_scale(&self) -> Scale {
        Scale { domain: self.x.domain, range: [self.panel.left, self.panel.right()] }
    }

    /// Pixels of y values.
    pub(crate) fn y_scale(&self) -> Scale {
        Scale { domain: self.y.domain, range: [self.panel.bottom(), self.panel.top] }
    }

    /// The pixel of a point.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x_scale().at(x), self.y_scale().at(y))
    }

    /// Grid, ticks and titles; to be drawn before the data.
    pub(crate) fn draw(&self) -> Markup {
        let Panel { left, top, .. } = self.panel;
        let (right, bottom) = (self.panel.right(), self.panel.bottom());
        let (x_scale, y_scale) = (self.x_scale(), self.y_scale());
        html! {
            @for (value, label) in &self.y.ticks {
                @let y = y_scale.at(*value);
                (line((left, y), (right, y), Stroke::solid(Ink::Grid, 1.0)))
                (text((left - 8.0, y + 4.0), Anchor::End, Ink::Muted, LABEL, false, label))
            }
            @for (value, label) in &self.x.ticks {
                @let x = x_scale.at(*value);
                (line((x, bottom), (x, bottom + 4.0), Stroke::solid(Ink::Axis, 1.0)))
                (text((x, bottom + 18.0), Anchor::Middle, Ink::Muted, LABEL, false, label))
            }
            (line((left, bottom), (right, bottom), Stroke::solid(Ink::Axis, 1.0)))
            (text(((left + right) / 2.0, bottom + 38.0), Anchor::Middle, Ink::Text, LABEL, false, &self.x.title))
            (text((left - 30.0, top - 14.0), Anchor::Start, Ink::Text, LABEL, false, &self.y.title))
        }
    }
}
