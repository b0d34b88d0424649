//! Line and bar charts as SVG: scales, axes, shapes and colours.
//!
//! Coordinates are pixels, with y pointing down. Each shape has its colour twice: as an attribute, for SVG files on
//! white, and as a CSS class, with which the page's style sheet replaces the colour according to the reader's theme.

mod axes;
mod downsample;
mod interval_row;
mod legend;
mod scale;
mod svg;
mod theme;

pub(crate) use axes::{Axes, Axis, Panel};
pub(crate) use downsample::downsample;
pub(crate) use interval_row::{IntervalRow, interval_row};
pub(crate) use legend::Legend;
pub(crate) use scale::ticks;
pub(crate) use svg::{Anchor, Stroke, area, band, circle, curve, hover_target, line, rect, step_outline, text};
pub(crate) use theme::Colour;
