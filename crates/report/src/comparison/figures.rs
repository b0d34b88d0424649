//! The figures of a comparison: ROC curves over each other, and the differences of scores.

use artifacts::schema::{Comparison, Interval, Metric};
use maud::html;

use super::{name, names};
use crate::figures::{Figure, HoverPoint, picked};
use crate::number::{count, score};
use crate::plot::{self, Anchor, Axes, Axis, Ink, Panel, Row, Stroke, decimate, interval_row, line, text};
use crate::table::Table;

/// Curves beyond these are in the CSV only.
const MOST_CURVES: usize = 6;
/// Differences beyond these are in the CSV only.
const MOST_ROWS: usize = 40;

/// All figures of a comparison.
pub(super) struct Figures {
    pub(super) roc: Option<Figure>,
    pub(super) differences: Option<Figure>,
}

impl Figures {
    pub(super) fn draw(comparison: &Comparison) -> Figures {
        Figures { roc: roc(comparison), differences: differences(comparison) }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Figure> {
        [&self.roc, &self.differences].into_iter().flatten()
    }
}

/// What tells the curves apart: colour, and a break in every other line.
fn look(index: usize) -> Stroke {
    const WIDTH: f64 = 2.0;
    let ink = ink(index);
    if index % 4 < 2 { Stroke::solid(ink, WIDTH) } else { Stroke::dashed(ink, WIDTH) }
}

fn ink(index: usize) -> Ink {
    [Ink::First, Ink::Second, Ink::Mark, Ink::Muted][index % 4]
}

fn roc(comparison: &Comparison) -> Option<Figure> {
    const SIZE: (f64, f64) = (520.0, 458.0);
    const PANEL: Panel = Panel { left: 40.0, top: 30.0, width: 466.0, height: 380.0 };
    const LEGEND_ROW: f64 = 20.0;
    let drawn: Vec<usize> = (0..comparison.detectors.len())
        .filter(|&index| !comparison.detectors[index].roc.is_empty())
        .take(MOST_CURVES)
        .collect();
    if drawn.is_empty() {
        return None;
    }
    let axes = Axes { panel: PANEL, x: Axis::unit("False-positive rate"), y: Axis::unit("True-positive rate") };
    let pixels = |index: usize| {
        let points: Vec<_> = comparison.detectors[index].roc.iter().map(|point| axes.at(point.x, point.y)).collect();
        decimate(&points, 0.5)
    };
    let legend = |row: usize, index: usize| {
        let y = PANEL.bottom() - 14.0 - LEGEND_ROW * (drawn.len() - 1 - row) as f64;
        let words = format!("{} {}", name(comparison, index), score(comparison.detectors[index].scores.roc_auc));
        html! {
            (text((PANEL.right() - 42.0, y), Anchor::End, Ink::Text, 13.0, false, &words))
            (line((PANEL.right() - 34.0, y - 4.0), (PANEL.right() - 8.0, y - 4.0), look(index)))
        }
    };
    let body = html! {
        (axes.draw())
        (line(axes.at(0.0, 0.0), axes.at(1.0, 1.0), Stroke::dashed(Ink::Axis, 1.0)))
        @for &index in &drawn { (plot::curve(&pixels(index), look(index))) }
        @for (row, &index) in drawn.iter().enumerate() { (legend(row, index)) }
    };
    let areas: Vec<String> = drawn
        .iter()
        .map(|&index| format!("{} {}", name(comparison, index), score(comparison.detectors[index].scores.roc_auc)))
        .collect();
    Some(Figure {
        name: "roc",
        title: "ROC curves".to_owned(),
        description: format!(
            "Share of the real images called fake against share of the fakes called fake, at every threshold. ROC-AUC: {}.",
            areas.join(", ")
        ),
        size: SIZE,
        panel: Some(PANEL),
        hover: drawn.iter().flat_map(|&index| roc_hover(comparison, index, &axes)).collect(),
        body,
        numbers: roc_numbers(comparison),
    })
}

/// What is said where a point of an entrant's curve is pointed at.
fn roc_hover<'a>(comparison: &'a Comparison, index: usize, axes: &'a Axes) -> impl Iterator<Item = HoverPoint> + 'a {
    picked(&comparison.detectors[index].roc).map(move |point| HoverPoint {
        at: axes.at(point.x, point.y),
        words: format!(
            "{}\nfalse-positive rate {:.3}\ntrue-positive rate {:.3}",
            name(comparison, index),
            point.x,
            point.y
        ),
    })
}

fn roc_numbers(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["detector", "threshold", "false_positive_rate", "true_positive_rate"]);
    for (index, entrant) in comparison.detectors.iter().enumerate() {
        for point in &entrant.roc {
            table.push([name(comparison, index).into(), point.threshold.into(), point.x.into(), point.y.into()]);
        }
    }
    table
}

fn differences(comparison: &Comparison) -> Option<Figure> {
    const ROW: f64 = 30.0;
    const WIDTH: f64 = 1000.0;
    const NAMES: f64 = 400.0;
    let rows = rows(comparison);
    if rows.is_empty() {
        return None;
    }
    let shown = &rows[..rows.len().min(MOST_ROWS)];
    let ends = shown.iter().flat_map(|row| {
        let interval = row.interval.unwrap_or(Interval { low: row.value, high: row.value });
        [row.value, interval.low, interval.high]
    });
    let reach = ends.map(f64::abs).fold(0.005, f64::max) * 1.08;
    let panel = Panel { left: NAMES, top: 4.0, width: WIDTH - NAMES - 90.0, height: ROW * shown.len() as f64 };
    let x = Axis::new("difference, first minus second", [-reach, reach], 6);
    let axes = Axes { panel, x, y: Axis::none() };
    let zero = axes.x_scale().at(0.0);
    let body = html! {
        (axes.draw())
        (line((zero, panel.top), (zero, panel.bottom()), Stroke::dashed(Ink::Axis, 1.4)))
        @for (i, row) in shown.iter().enumerate() {
            (interval_row(&axes, panel.top + ROW * (i as f64 + 0.5), (WIDTH, ROW), Ink::First, row))
        }
    };
    Some(Figure {
        name: "differences",
        title: "Differences on the same images".to_owned(),
        description: format!(
            "Each score of the first detector minus that of the second, with its 95% interval over {} resamples of the \
             images; an interval that holds 0 decides nothing.",
            count(u64::from(comparison.bootstrap.resamples))
        ),
        size: (WIDTH, panel.bottom() + 50.0),
        panel: None,
        body,
        hover: Vec::new(),
        numbers: difference_numbers(comparison),
    })
}

fn rows(comparison: &Comparison) -> Vec<Row> {
    Metric::headline()
        .flat_map(|metric| {
            comparison.pairs.iter().filter_map(|pair| {
                let [first, second] = names(comparison, pair);
                let found = pair.differences.iter().find(|difference| difference.score == metric.key)?;
                let (value, interval) = (found.value?, found.interval);
                let (name, number) = (format!("{}: {first} − {second}", metric.name), format!("{value:+.3}"));
                let range = interval.map(|i| format!("\n95% interval {:+.3} to {:+.3}", i.low, i.high));
                let words = format!("{name}\n{number}{}", range.unwrap_or_default());
                Some(Row { name, value, interval, number, words })
            })
        })
        .collect()
}

fn difference_numbers(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["first", "second", "score", "difference", "low", "high"]);
    for pair in &comparison.pairs {
        let [first, second] = names(comparison, pair);
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
