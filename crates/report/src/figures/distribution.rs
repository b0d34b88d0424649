//! The distribution of P(fake): real images above the axis, fakes below it.

use artifacts::Label;
use maud::{Markup, html};

use crate::figure::Figure;
use crate::format_number::{compact, count};
use crate::histogram::{BINS, Histogram};
use crate::plot::{
    self, Anchor, Axes, Axis, Colour, Legend, Panel, Stroke, area, hover_target, line, step_outline, text,
};
use crate::table::Table;

/// The layout for one width of the page. The style sheet aligns the slider with the panel, so it repeats these numbers.
struct Layout {
    name: &'static str,
    size: (f64, f64),
    panel: Panel,
    ticks: usize,
}

const WIDE: Layout = Layout {
    name: "distribution",
    size: (1080.0, 310.0),
    panel: Panel { left: 44.0, top: 30.0, width: 1020.0, height: 232.0 },
    ticks: 10,
};
const NARROW: Layout = Layout {
    name: "distribution-narrow",
    size: (340.0, 290.0),
    panel: Panel { left: 40.0, top: 30.0, width: 290.0, height: 214.0 },
    ticks: 5,
};

/// Draws the histograms of both classes back to back, with the threshold.
pub(crate) fn draw_wide(histogram: &Histogram, threshold: f64) -> Figure {
    draw(histogram, threshold, &WIDE)
}

/// Draws the same figure for narrow screens.
pub(crate) fn draw_narrow(histogram: &Histogram, threshold: f64) -> Figure {
    draw(histogram, threshold, &NARROW)
}

fn draw(histogram: &Histogram, threshold: f64, layout: &Layout) -> Figure {
    let shares = Label::ALL.map(|label| histogram.shares(label));
    let highest = shares.iter().flatten().copied().fold(0.0, f64::max).max(0.02);
    let axes = axes(highest, layout);
    let panel = layout.panel;
    let at = axes.x_scale().at(threshold);
    let body = html! {
        (axes.draw())
        @for (label, shares) in Label::ALL.into_iter().zip(&shares) {
            (outline(&axes, label, shares))
        }
        (line(axes.at(0.0, 0.0), axes.at(1.0, 0.0), Stroke::solid(Colour::Axis, 1.0)))
        g class="threshold-line" {
            (line((at, panel.top - 4.0), (at, panel.bottom()), Stroke::solid(Colour::Marker, 1.5)))
            (text((at, panel.top - 10.0), Anchor::Middle, Colour::Marker, 12.0, true, &compact(threshold, 4)))
        }
        (hover_targets(&axes, histogram))
    };
    Figure {
        name: layout.name.into(),
        title: "Distribution of P(fake) by class".to_owned(),
        description: describe(&shares, threshold),
        size: layout.size,
        panel: Some(panel),
        body,
        legend: Legend::default()
            .area(Colour::Real, "real images, above the axis")
            .area(Colour::Fake, "fakes, below the axis"),
        hover: Vec::new(),
        numbers: numbers(histogram),
    }
}

/// Returns axes on which shares grow in both directions from zero. The labels have no sign.
fn axes(highest: f64, layout: &Layout) -> Axes {
    let ticks = plot::ticks(0.0, highest, 3)
        .into_iter()
        .flat_map(|(value, _)| {
            let label = format!("{}%", compact(100.0 * value, 1));
            if value == 0.0 { vec![(value, label)] } else { vec![(value, label.clone()), (-value, label)] }
        })
        .collect();
    let limit = 1.08 * highest;
    let y = Axis { title: "Share of the class".to_owned(), domain: [-limit, limit], ticks };
    Axes { panel: layout.panel, x: Axis::new("P(fake)", [0.0, 1.0], layout.ticks), y }
}

fn outline(axes: &Axes, label: Label, shares: &[f64; BINS]) -> Markup {
    let (colour, sign) = match label {
        Label::Real => (Colour::Real, 1.0),
        Label::Fake => (Colour::Fake, -1.0),
    };
    let edges: Vec<f64> = (0..=BINS).map(|bin| axes.x_scale().at(Histogram::edge(bin))).collect();
    let heights = shares.map(|share| axes.y_scale().at(sign * share));
    let corners = step_outline(&edges, &heights);
    html! {
        (area(&corners, axes.y_scale().at(0.0), colour, 0.55))
        (plot::curve(&corners, Stroke::solid(colour, 1.2)))
    }
}

fn hover_targets(axes: &Axes, histogram: &Histogram) -> Markup {
    html! {
        @for bin in 0..BINS {
            @let left = axes.x_scale().at(Histogram::edge(bin));
            @let right = axes.x_scale().at(Histogram::edge(bin + 1));
            @let [reals, fakes] = [0, 1].map(|class: usize| histogram.counts[class][bin]);
            @let tooltip = format!("P(fake) {:.2} to {:.2}\n{} real, {} fake",
                Histogram::edge(bin), Histogram::edge(bin + 1), count(reals), count(fakes));
            (hover_target((left, axes.panel.top), (right - left, axes.panel.height), &tooltip))
        }
    }
}

fn describe(shares: &[[f64; BINS]; 2], threshold: f64) -> String {
    let half = |shares: &[f64; BINS]| 100.0 * shares[..BINS / 2].iter().sum::<f64>();
    format!(
        "Histograms with {BINS} bins, real images above the axis and fakes below it, with the threshold at {}. {:.1}% of the \
         real images and {:.1}% of the fakes have a P(fake) below 0.5.",
        compact(threshold, 4),
        half(&shares[0]),
        half(&shares[1])
    )
}

fn numbers(histogram: &Histogram) -> Table {
    let mut table = Table::new(&["p_fake_from", "p_fake_to", "real", "fake"]);
    for bin in 0..BINS {
        let [reals, fakes] = [0, 1].map(|class: usize| histogram.counts[class][bin]);
        table.push([Histogram::edge(bin).into(), Histogram::edge(bin + 1).into(), reals.into(), fakes.into()]);
    }
    table
}
