//! The figures of a comparison: all ROC curves in one chart, and the differences of the scores.

use artifacts::schema::{Comparison, Interval, Metric};
use maud::html;

use super::detector_names::{name, pair_names, short_pair_names};
use crate::figure::{Figure, HoverPoint, subsample};
use crate::format_number::{count, score};
use crate::plot::{self, Axes, Axis, Colour, IntervalRow, Legend, Panel, Stroke, downsample, interval_row, line};
use crate::table::Table;

/// The maximum number of curves in the figure. The others are in the CSV file only.
const MAX_CURVES: usize = 6;
/// The maximum number of differences in the figure. The others are in the CSV file only.
const MAX_ROWS: usize = 40;

/// The figures of a comparison. A figure is `None` if there are no data for it.
pub(super) struct Figures {
    pub(super) roc: Option<Figure>,
    pub(super) differences: Option<Figure>,
}

impl Figures {
    pub(super) fn draw(comparison: &Comparison) -> Figures {
        Figures { roc: draw_roc(comparison), differences: draw_differences(comparison) }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Figure> {
        [&self.roc, &self.differences].into_iter().flatten()
    }
}

/// Returns the line style of a curve: one of four colours, dashed from the third curve on, so that six curves differ.
fn curve_style(index: usize) -> Stroke {
    const WIDTH: f64 = 2.0;
    let colour = colour(index);
    if index < 2 { Stroke::solid(colour, WIDTH) } else { Stroke::dashed(colour, WIDTH) }
}

fn colour(index: usize) -> Colour {
    [Colour::Primary, Colour::Secondary, Colour::Marker, Colour::Muted][index % 4]
}

fn draw_roc(comparison: &Comparison) -> Option<Figure> {
    const SIZE: (f64, f64) = (520.0, 458.0);
    const PANEL: Panel = Panel { left: 40.0, top: 30.0, width: 466.0, height: 380.0 };
    let drawn: Vec<usize> = (0..comparison.detectors.len())
        .filter(|&index| !comparison.detectors[index].roc.is_empty())
        .take(MAX_CURVES)
        .collect();
    if drawn.is_empty() {
        return None;
    }
    let axes = Axes { panel: PANEL, x: Axis::unit("False-positive rate"), y: Axis::unit("True-positive rate") };
    let pixels = |index: usize| {
        let points: Vec<_> = comparison.detectors[index].roc.iter().map(|point| axes.at(point.x, point.y)).collect();
        downsample(&points, 0.5)
    };
    let body = html! {
        (axes.draw())
        (line(axes.at(0.0, 0.0), axes.at(1.0, 1.0), Stroke::dashed(Colour::Axis, 1.0)))
        @for &index in &drawn { (plot::curve(&pixels(index), curve_style(index))) }
    };
    let areas: Vec<String> = drawn
        .iter()
        .map(|&index| format!("{} {}", name(comparison, index), score(comparison.detectors[index].scores.roc_auc)))
        .collect();
    let legend = drawn
        .iter()
        .zip(&areas)
        .fold(Legend::default(), |legend, (&index, area)| legend.line(curve_style(index), area.as_str()));
    Some(Figure {
        name: "roc".into(),
        title: "ROC curves".to_owned(),
        description: format!(
            "Share of real images called fake (x) and share of fakes called fake (y) at every threshold. ROC-AUC: {}.",
            areas.join(", ")
        ),
        size: SIZE,
        panel: Some(PANEL),
        hover: drawn.iter().flat_map(|&index| roc_hover(comparison, index, &axes)).collect(),
        body,
        legend,
        numbers: roc_numbers(comparison),
    })
}

/// Returns the points of a detector's curve that show a tooltip.
fn roc_hover<'a>(comparison: &'a Comparison, index: usize, axes: &'a Axes) -> impl Iterator<Item = HoverPoint> + 'a {
    subsample(&comparison.detectors[index].roc).map(move |point| HoverPoint {
        at: axes.at(point.x, point.y),
        tooltip: format!(
            "{}\nfalse-positive rate {:.3}\ntrue-positive rate {:.3}",
            name(comparison, index),
            point.x,
            point.y
        ),
    })
}

fn roc_numbers(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["detector", "threshold", "false_positive_rate", "true_positive_rate"]);
    for (index, detector) in comparison.detectors.iter().enumerate() {
        for point in &detector.roc {
            table.push([name(comparison, index).into(), point.threshold.into(), point.x.into(), point.y.into()]);
        }
    }
    table
}

fn draw_differences(comparison: &Comparison) -> Option<Figure> {
    const ROW_HEIGHT: f64 = 30.0;
    const WIDTH: f64 = 1000.0;
    const NAME_WIDTH: f64 = 400.0;
    let rows = rows(comparison);
    if rows.is_empty() {
        return None;
    }
    let shown = &rows[..rows.len().min(MAX_ROWS)];
    let ends = shown.iter().flat_map(|row| {
        let interval = row.interval.unwrap_or(Interval { low: row.value, high: row.value });
        [row.value, interval.low, interval.high]
    });
    let reach = ends.map(f64::abs).fold(0.005, f64::max) * 1.08;
    let panel =
        Panel { left: NAME_WIDTH, top: 4.0, width: WIDTH - NAME_WIDTH - 90.0, height: ROW_HEIGHT * shown.len() as f64 };
    let x = Axis::new("Difference, first minus second", [-reach, reach], 6);
    let axes = Axes { panel, x, y: Axis::none() };
    let zero = axes.x_scale().at(0.0);
    let body = html! {
        (axes.draw())
        (line((zero, panel.top), (zero, panel.bottom()), Stroke::dashed(Colour::Axis, 1.4)))
        @for (i, row) in shown.iter().enumerate() {
            (interval_row(&axes, panel.top + ROW_HEIGHT * (i as f64 + 0.5), (WIDTH, ROW_HEIGHT), Colour::Primary, row))
        }
    };
    Some(Figure {
        name: "differences".into(),
        title: "Differences on the same images".to_owned(),
        description: format!(
            "Each score of the first detector minus that of the second, with its 95% confidence interval from {} bootstrap \
             resamples of the images. If the interval contains 0, the data do not show which detector is better.",
            count(u64::from(comparison.bootstrap.resamples))
        ),
        size: (WIDTH, panel.bottom() + 50.0),
        panel: None,
        body,
        legend: Legend::default(),
        hover: Vec::new(),
        numbers: difference_numbers(comparison),
    })
}

fn rows(comparison: &Comparison) -> Vec<IntervalRow> {
    Metric::headline()
        .flat_map(|metric| {
            comparison.pairs.iter().filter_map(|pair| {
                let [first, second] = short_pair_names(comparison, pair);
                let found = pair.differences.iter().find(|difference| difference.score == metric.key)?;
                let (value, interval) = (found.value?, found.interval);
                let (name, number) = (format!("{}: {first} − {second}", metric.name), format!("{value:+.3}"));
                let range = interval.map(|i| format!("\n95% confidence interval {:+.3} to {:+.3}", i.low, i.high));
                let tooltip = format!("{name}\n{number}{}", range.unwrap_or_default());
                Some(IntervalRow { name, value, interval, number, tooltip })
            })
        })
        .collect()
}

fn difference_numbers(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["first", "second", "score", "difference", "low", "high"]);
    for pair in &comparison.pairs {
        let [first, second] = pair_names(comparison, pair);
        for difference in &pair.differences {
            table.push([
                first.as_str().into(),
                second.as_str().into(),
                difference.score.as_str().into(),
                difference.value.into(),
                difference.interval.map(|i| i.low).into(),
                difference.interval.map(|i| i.high).into(),
            ]);
        }
    }
    table
}
