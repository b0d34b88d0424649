//! SVG elements.

use maud::{Markup, PreEscaped, html};

use super::theme::Colour;
use crate::format_number::compact;

/// A line style.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    colour: Colour,
    width: f64,
    dash: Option<&'static str>,
}

impl Stroke {
    /// Returns a solid line style.
    pub(crate) const fn solid(colour: Colour, width: f64) -> Stroke {
        Stroke { colour, width, dash: None }
    }

    /// Returns a dashed line style, for reference lines and for series that must be distinguishable without colour.
    pub(crate) const fn dashed(colour: Colour, width: f64) -> Stroke {
        Stroke { colour, width, dash: Some("4 3") }
    }
}

/// The part of a text that is at its position: its start, middle or end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// Draws a straight line.
pub(crate) fn line(from: (f64, f64), to: (f64, f64), stroke: Stroke) -> Markup {
    html! {
        line class=(stroke.colour.stroke_class()) x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1))
            stroke=(stroke.colour.light()) stroke-width=(stroke.width) stroke-dasharray=[stroke.dash] {}
    }
}

/// Draws a line through points.
pub(crate) fn curve(points: &[(f64, f64)], stroke: Stroke) -> Markup {
    html! {
        path class=(stroke.colour.stroke_class()) d=(path(points)) fill="none" stroke=(stroke.colour.light())
            stroke-width=(stroke.width) stroke-linejoin="round" stroke-linecap="round" stroke-dasharray=[stroke.dash] {}
    }
}

/// Fills the area between a line through points, sorted by x, and the horizontal line at `base`.
pub(crate) fn area(points: &[(f64, f64)], base: f64, colour: Colour, opacity: f64) -> Markup {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return PreEscaped(String::new());
    };
    let closed = format!("{} V{} H{} Z", path(points), px(base), px(first.0));
    debug_assert!(last.0 >= first.0);
    html! { path class=(colour.fill_class()) d=(closed) fill=(colour.light()) fill-opacity=(opacity) {} }
}

/// Fills the area between two lines through points, both sorted by x.
pub(crate) fn band(lower: &[(f64, f64)], upper: &[(f64, f64)], colour: Colour, opacity: f64) -> Markup {
    if lower.is_empty() || upper.is_empty() {
        return PreEscaped(String::new());
    }
    let outline: Vec<(f64, f64)> = upper.iter().chain(lower.iter().rev()).copied().collect();
    html! { path class=(colour.fill_class()) d={ (path(&outline)) " Z" } fill=(colour.light()) fill-opacity=(opacity) {} }
}

/// Returns the corners of a histogram's outline. Bar `i` reaches from `edges[i]` to `edges[i + 1]` and has height
/// `heights[i]`.
pub(crate) fn step_outline(edges: &[f64], heights: &[f64]) -> Vec<(f64, f64)> {
    heights.iter().enumerate().flat_map(|(i, y)| [(edges[i], *y), (edges[i + 1], *y)]).collect()
}

/// Draws a filled rectangle.
pub(crate) fn rect(corner: (f64, f64), size: (f64, f64), colour: Colour, opacity: f64) -> Markup {
    html! {
        rect class=(colour.fill_class()) x=(px(corner.0)) y=(px(corner.1)) width=(px(size.0)) height=(px(size.1))
            fill=(colour.light()) fill-opacity=[(opacity < 1.0).then_some(compact(opacity, 3))] {}
    }
}

/// Draws a filled circle with a rim in the background colour, so that it stands out from a curve.
pub(crate) fn circle(centre: (f64, f64), radius: f64, colour: Colour) -> Markup {
    html! {
        circle class={ (colour.fill_class()) " s-background" } cx=(px(centre.0)) cy=(px(centre.1)) r=(px(radius))
            fill=(colour.light()) stroke=(Colour::Background.light()) stroke-width="1.5" {}
    }
}

/// Draws text.
pub(crate) fn text(at: (f64, f64), anchor: Anchor, colour: Colour, size: f64, bold: bool, content: &str) -> Markup {
    html! {
        text class=(colour.fill_class()) x=(px(at.0)) y=(px(at.1)) text-anchor=(anchor.name()) font-size=(size)
            font-weight=[bold.then_some("600")] fill=(colour.light_text()) { (content) }
    }
}

/// Draws an invisible rectangle that shows a tooltip.
pub(crate) fn hover_target(corner: (f64, f64), size: (f64, f64), tooltip: &str) -> Markup {
    html! {
        rect class="hover" data-tip=(tooltip) x=(px(corner.0)) y=(px(corner.1)) width=(px(size.0)) height=(px(size.1))
            fill="#ffffff" fill-opacity="0" { title { (tooltip) } }
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::with_capacity(points.len() * 12);
    for (i, (x, y)) in points.iter().enumerate() {
        path.push_str(if i == 0 { "M" } else { "L" });
        path.push_str(&px(*x));
        path.push(' ');
        path.push_str(&px(*y));
    }
    path
}

fn px(value: f64) -> String {
    compact(value, 2)
}
