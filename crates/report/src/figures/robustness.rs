//! ROC-AUC of degraded images, with a small panel for each degradation.

use artifacts::schema::{Robustness, RobustnessCurve, RobustnessPoint};
use maud::{Markup, html};

use crate::degradation::{operation_at_level, operation_name};
use crate::escape::visible;
use crate::figure::{Figure, HoverPoint};
use crate::format_number::{compact, percent, score};
use crate::plot::{self, Anchor, Axes, Axis, Colour, Legend, Panel, Stroke, circle, line, text};
use crate::table::Table;

const COLUMNS: usize = 3;
const WIDTH: f64 = 1080.0;
/// The size of a panel with its labels.
const TILE: (f64, f64) = (360.0, 250.0);

/// Draws the panels with a common y axis. Returns `None` if no score is defined.
pub(crate) fn draw(robustness: &Robustness) -> Option<Figure> {
    let curves: Vec<&RobustnessCurve> = robustness.curves.iter().filter(|curve| !points(curve).is_empty()).collect();
    if curves.is_empty() {
        return None;
    }
    let untouched = robustness.untouched.roc_auc?;
    let y = Axis::new("", [axis_minimum(&curves, untouched), 1.0], 4);
    let tiles: Vec<(&RobustnessCurve, Axes)> =
        curves.iter().enumerate().map(|(i, curve)| (*curve, axes(i, curve, &y))).collect();
    let body = html! { @for (curve, axes) in &tiles { (panel(curve, axes, untouched)) } };
    let rows = curves.len().div_ceil(COLUMNS);
    Some(Figure {
        name: "robustness".into(),
        title: "ROC-AUC after changes to the images".to_owned(),
        description: describe(&curves, untouched),
        size: (WIDTH, rows as f64 * TILE.1),
        panel: None,
        body,
        legend: Legend::default(),
        hover: tiles.iter().flat_map(|(curve, axes)| hover(curve, axes)).collect(),
        numbers: numbers(robustness),
    })
}

/// Returns the points of a curve with a defined ROC-AUC, each with its index and its ROC-AUC.
fn points(curve: &RobustnessCurve) -> Vec<(usize, &RobustnessPoint, f64)> {
    curve.points.iter().enumerate().filter_map(|(i, point)| Some((i, point, point.scores.roc_auc?))).collect()
}

/// Returns the lower end of the y axis: a multiple of 0.1 below all intervals.
fn axis_minimum(curves: &[&RobustnessCurve], untouched: f64) -> f64 {
    let lows = curves
        .iter()
        .flat_map(|curve| points(curve))
        .map(|(_, point, area)| point.intervals.get("roc_auc").map_or(area, |interval| interval.low.min(area)));
    let lowest = lows.fold(untouched, f64::min).min(0.9);
    (lowest * 10.0).floor() / 10.0
}

fn axes(index: usize, curve: &RobustnessCurve, y: &Axis) -> Axes {
    let left = (index % COLUMNS) as f64 * TILE.0 + 36.0;
    let top = (index / COLUMNS) as f64 * TILE.1 + 34.0;
    let panel = Panel { left, top, width: TILE.0 - 62.0, height: TILE.1 - 98.0 };
    // Levels are equally spaced, because the operations have different units.
    let last = curve.points.len().max(2) - 1;
    let ticks = curve.points.iter().enumerate().map(|(i, point)| (i as f64, compact(point.level, 2))).collect();
    let x = Axis { title: visible(&curve.unit), domain: [-0.35, last as f64 + 0.35], ticks };
    Axes { panel, x, y: Axis { title: String::new(), ..y.clone() } }
}

fn panel(curve: &RobustnessCurve, axes: &Axes, untouched: f64) -> Markup {
    let panel = axes.panel;
    let level = axes.y_scale().at(untouched);
    let points = points(curve);
    let places: Vec<(f64, f64)> = points.iter().map(|(i, _, area)| axes.at(*i as f64, *area)).collect();
    html! {
        (axes.draw())
        (text((panel.left - 30.0, panel.top - 16.0), Anchor::Start, Colour::Text, 13.0, true, &operation_name(&curve.operation)))
        (line((panel.left, level), (panel.right(), level), Stroke::dashed(Colour::Axis, 1.2)))
        @for (i, point, _) in &points {
            @if let Some(interval) = point.intervals.get("roc_auc") {
                (line(axes.at(*i as f64, interval.low), axes.at(*i as f64, interval.high), Stroke::solid(Colour::Faint, 4.0)))
            }
        }
        (plot::curve(&places, Stroke::solid(Colour::Primary, 2.0)))
        @for place in &places { (circle(*place, 4.5, Colour::Primary)) }
    }
}

fn describe(curves: &[&RobustnessCurve], untouched: f64) -> String {
    let worst = curves
        .iter()
        .flat_map(|curve| points(curve).into_iter().map(move |(_, point, area)| (curve, point, area)))
        .min_by(|a, b| a.2.total_cmp(&b.2));
    let lowest = worst.map(|(curve, point, area)| {
        format!(" It is lowest after {}: {}.", operation_at_level(curve, point.level), score(Some(area)))
    });
    format!(
        "ROC-AUC with its 95% confidence interval. Changes become stronger from left to right. The dashed line is the ROC-AUC of \
         the unchanged images, {}.{}",
        score(Some(untouched)),
        lowest.unwrap_or_default()
    )
}

fn hover<'a>(curve: &'a RobustnessCurve, axes: &'a Axes) -> impl Iterator<Item = HoverPoint> + 'a {
    points(curve).into_iter().map(move |(i, point, area)| {
        let tooltip = format!(
            "{}\nROC-AUC {}\naccuracy {}\n{} of the verdicts change",
            operation_at_level(curve, point.level),
            score(Some(area)),
            percent(point.scores.accuracy),
            percent(point.flipped)
        );
        HoverPoint { at: axes.at(i as f64, area), tooltip }
    })
}

fn numbers(robustness: &Robustness) -> Table {
    let mut table = Table::new(&[
        "operation",
        "unit",
        "level",
        "roc_auc",
        "roc_auc_low",
        "roc_auc_high",
        "accuracy",
        "flipped",
        "flips_to_fake",
        "flips_to_real",
    ]);
    for curve in &robustness.curves {
        for point in &curve.points {
            let interval = point.intervals.get("roc_auc");
            table.push([
                curve.operation.as_str().into(),
                curve.unit.as_str().into(),
                point.level.into(),
                point.scores.roc_auc.into(),
                interval.map(|i| i.low).into(),
                interval.map(|i| i.high).into(),
                point.scores.accuracy.into(),
                point.flipped.into(),
                point.flips_to_fake.into(),
                point.flips_to_real.into(),
            ]);
        }
    }
    table
}
