//! Plain line and bar charts as SVG: scales with round ticks, axes, shapes, and the colours they may have.
//!
//! Coordinates are pixels of the drawing, y downwards. Each shape says its colour twice: as an attribute with the
//! colour for light paper, which slides and printers understand, and as a class, with which the page's style sheet
//! puts the colour of its theme in place of it.

mod axes;
mod decimate;
mod ink;
mod rows;
mod scale;
mod shapes;

pub(crate) use axes::{Axes, Axis, Panel};
pub(crate) use decimate::decimate;
pub(crate) use ink::Ink;
pub(crate) use rows::{Row, interval_row};
pub(crate) use scale::{Scale, ticks};
pub(crate) use shapes::{Anchor, Stroke, area, circle, curve, hover_target, line, rect, steps, text};
