//! The few shapes that figures are made of.

use maud::{Markup, PreEscaped, html};

use super::Ink;
use crate::number::compact;

/// A line's look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    ink: Ink,
    width: f64,
    dash: Option<&'static str>,
}

impl Stroke {
    /// An unbroken line.
    pub(crate) fn solid(ink: Ink, width: f64) -> Stroke {
        Stroke { ink, width, dash: None }
    }

    /// A broken line: for references that are no data, and for what must be told apart without colour.
    pub(crate) fn dashed(ink: Ink, width: f64) -> Stroke {
        Stroke { ink, width, dash: Some("4 3") }
    }
}

/// Where a text has its given point.
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

/// A straight line.
pub(crate) fn line(from: (f64, f64), to: (f64, f64), stroke: Stroke) -> Markup {
    html! {
        line class=(stroke.ink.stroke_class()) x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1))
            stroke=(stroke.ink.light()) stroke-width=(stroke.width) stroke-dasharray=[stroke.dash] {}
    }
}

/// A line through points.
pub(crate) fn curve(points: &[(f64, f64)], stroke: Stroke) -> Markup {
    html! {
        path class=(stroke.ink.stroke_class()) d=(path(points)) fill="none" stroke=(stroke.ink.light())
            stroke-width=(stroke.width) stroke-linejoin="round" stroke-linecap="round" stroke-dasharray=[stroke.dash] {}
    }
}

/// The ground between a line through points and a horizontal one at `base`.
pub(crate) fn area(points: &[(f64, f64)], base: f64, ink: Ink, opacity: f64) -> Markup {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return PreEscaped(String::new());
    };
    let closed = format!("{} V{} H{} Z", path(points), px(base), px(first.0));
    debug_assert!(last.0 >= first.0);
    html! { path class=(ink.fill_class()) d=(closed) fill=(ink.light()) fill-opacity=(opacity) {} }
}

/// The corners of a histogram's outline: bar `i` reaches from `edges[i]` to `edges[i + 1]` at height `heights[i]`.
pub(crate) fn steps(edges: &[f64], heights: &[f64]) -> Vec<(f64, f64)> {
    heights.iter().enumerate().flat_map(|(i, y)| [(edges[i], *y), (edges[i + 1], *y)]).collect()
}

/// A filled rectangle.
pub(crate) fn rect(corner: (f64, f64), size: (f64, f64), ink: Ink, opacity: f64) -> Markup {
    html! {
        rect class=(ink.fill_class()) x=(px(corner.0)) y=(px(corner.1)) width=(px(size.0)) height=(px(size.1))
            fill=(ink.light()) fill-opacity=[(opacity < 1.0).then_some(compact(opacity, 3))] {}
    }
}

/// A filled circle with a rim in the colour of the ground, so that it stands out from a curve.
pub(crate) fn circle(centre: (f64, f64), radius: f64, ink: Ink) -> Markup {
    html! {
        circle class={ (ink.fill_class()) " s-paper" } cx=(px(centre.0)) cy=(px(centre.1)) r=(px(radius))
            fill=(ink.light()) stroke=(Ink::Paper.light()) stroke-width="1.5" {}
    }
}

/// A word or number.
pub(crate) fn text(at: (f64, f64), anchor: Anchor, ink: Ink, size: f64, bold: bool, content: &str) -> Markup {
    html! {
        text class=(ink.fill_class()) x=(px(at.0)) y=(px(at.1)) text-anchor=(anchor.name()) font-size=(size)
            font-weight=[bold.then_some("600")] fill=(ink.light_words()) { (content) }
    }
}

/// An invisible rectangle that says its words when it is pointed at.
pub(crate) fn hover_target(corner: (f64, f64), size: (f64, f64), words: &str) -> Markup {
    html! {
        rect class="hover" data-tip=(words) x=(px(corner.0)) y=(px(corner.1)) width=(px(size.0)) height=(px(size.1))
            fill="#ffffff" fill-opacity="0" { title { (words) } }
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
