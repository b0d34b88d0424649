//! ROC and precision-recall curves of all training runs.

use artifacts::schema::{CurvePoint, RunMetrics};
use maud::{Markup, html};

use crate::figure::{Figure, HoverPoint, subsample};
use crate::format_number::{compact, ratio, score};
use crate::plot::{self, Axes, Axis, Colour, Legend, Panel, Stroke, circle, downsample, line};
use crate::table::Table;

const SIZE: (f64, f64) = (340.0, 340.0);
const PANEL: Panel = Panel { left: 36.0, top: 30.0, width: 294.0, height: 264.0 };
/// The width in pixels of a column in which points cannot be distinguished: one physical pixel of a screen with two per
/// CSS pixel.
const COLUMN: f64 = 0.5;
/// The line of the first run, and that of the others.
const FIRST: Stroke = Stroke::solid(Colour::Primary, 2.0);
const OTHERS: Stroke = Stroke::solid(Colour::Faint, 1.2);

/// The kind of a curve.
struct CurveKind {
    name: &'static str,
    title: &'static str,
    area_name: &'static str,
    x: &'static str,
    y: &'static str,
    /// The meaning of the axes.
    explanation: &'static str,
    points: fn(&RunMetrics) -> &[CurvePoint],
    area: fn(&RunMetrics) -> Option<f64>,
}

/// Draws the ROC curve of each run. Returns `None` if the first run has none.
pub(crate) fn draw_roc(runs: &[RunMetrics]) -> Option<Figure> {
    let kind = CurveKind {
        name: "roc",
        title: "ROC curve",
        area_name: "ROC-AUC",
        x: "False-positive rate",
        y: "True-positive rate",
        explanation: "Share of real images called fake (x) and share of fakes called fake (y) at every threshold",
        points: |run| &run.roc,
        area: |run| run.scores.roc_auc,
    };
    draw(&kind, runs, |axes| line(axes.at(0.0, 0.0), axes.at(1.0, 1.0), Stroke::dashed(Colour::Axis, 1.0)))
}

/// Draws the precision-recall curve of each run. Returns `None` if the first run has none.
pub(crate) fn draw_precision_recall(runs: &[RunMetrics]) -> Option<Figure> {
    let kind = CurveKind {
        name: "precision-recall",
        title: "Precision-recall curve",
        area_name: "PR-AUC",
        x: "Recall",
        y: "Precision",
        explanation: "Share of fakes called fake (x) and share of fakes among all images called fake (y) at every threshold",
        points: |run| &run.pr,
        area: |run| run.scores.pr_auc,
    };
    let confusion = runs.first()?.scores.confusion;
    let fakes = confusion.true_positive + confusion.false_negative;
    let prevalence = ratio(fakes, runs.first()?.scores.n)?;
    draw(&kind, runs, |axes| {
        line(axes.at(0.0, prevalence), axes.at(1.0, prevalence), Stroke::dashed(Colour::Axis, 1.0))
    })
}

fn draw(kind: &CurveKind, runs: &[RunMetrics], reference: impl Fn(&Axes) -> Markup) -> Option<Figure> {
    let first = runs.first().filter(|run| !(kind.points)(run).is_empty())?;
    let axes = Axes { panel: PANEL, x: Axis::unit(kind.x), y: Axis::unit(kind.y) };
    let pixels = |run: &RunMetrics| {
        let points: Vec<_> = (kind.points)(run).iter().map(|point| axes.at(point.x, point.y)).collect();
        downsample(&points, COLUMN)
    };
    let body = html! {
        (axes.draw())
        (reference(&axes))
        @for run in runs.iter().skip(1) {
            (plot::curve(&pixels(run), OTHERS))
        }
        (plot::curve(&pixels(first), FIRST))
        @if let Some(point) = point_at(first, kind) {
            @let (x, y) = axes.at(point.x, point.y);
            g class="marker" { (circle((x, y), 5.0, Colour::Marker)) }
        }
    };
    Some(Figure {
        name: kind.name.into(),
        title: kind.title.to_owned(),
        description: describe(kind, runs),
        size: SIZE,
        panel: Some(PANEL),
        body,
        legend: legend(kind, runs),
        hover: runs.iter().flat_map(|run| hover(kind, run, &axes, runs.len() > 1)).collect(),
        numbers: numbers(kind, runs),
    })
}

/// Returns the point of a curve at the threshold of the headline scores: of the points whose threshold is not lower,
/// the one with the lowest threshold.
fn point_at<'a>(run: &'a RunMetrics, kind: &CurveKind) -> Option<&'a CurvePoint> {
    let at = run.scores.threshold;
    let reached = |point: &&CurvePoint| point.threshold.is_none_or(|threshold| threshold >= at);
    let by_threshold = |a: &&CurvePoint, b: &&CurvePoint| {
        a.threshold.unwrap_or(f64::INFINITY).total_cmp(&b.threshold.unwrap_or(f64::INFINITY))
    };
    (kind.points)(run).iter().filter(reached).min_by(by_threshold)
}

fn legend(kind: &CurveKind, runs: &[RunMetrics]) -> Legend {
    let value = score(runs.first().and_then(kind.area));
    let legend = Legend::default();
    match runs {
        [_] => legend.line(FIRST, format!("{} {value}", kind.area_name)),
        _ => legend.line(FIRST, format!("run 0: {} {value}", kind.area_name)).line(OTHERS, area_range(kind, runs)),
    }
}

/// Returns the range of the area over all runs, such as "5 runs: 0.951 to 0.963".
fn area_range(kind: &CurveKind, runs: &[RunMetrics]) -> String {
    let values: Vec<f64> = runs.iter().filter_map(kind.area).collect();
    let low = values.iter().copied().reduce(f64::min);
    let high = values.iter().copied().reduce(f64::max);
    format!("{} runs: {} to {}", runs.len(), score(low), score(high))
}

fn describe(kind: &CurveKind, runs: &[RunMetrics]) -> String {
    let value = score(runs.first().and_then(kind.area));
    let several = if runs.len() > 1 { format!(" in run 0; {}", area_range(kind, runs)) } else { String::new() };
    format!("{}. The dot marks the threshold. {} {value}{several}.", kind.explanation, kind.area_name)
}

fn hover<'a>(
    kind: &'a CurveKind,
    run: &'a RunMetrics,
    axes: &'a Axes,
    several: bool,
) -> impl Iterator<Item = HoverPoint> + 'a {
    subsample((kind.points)(run)).map(move |point| {
        let run_name = if several { format!("run {}, ", run.run) } else { String::new() };
        let threshold =
            point.threshold.map_or("above all scores".to_owned(), |t| format!("threshold {}", compact(t, 4)));
        let tooltip = format!(
            "{run_name}{threshold}\n{} {:.3}\n{} {:.3}",
            kind.x.to_lowercase(),
            point.x,
            kind.y.to_lowercase(),
            point.y
        );
        HoverPoint { at: axes.at(point.x, point.y), tooltip }
    })
}

fn numbers(kind: &CurveKind, runs: &[RunMetrics]) -> Table {
    let columns = match kind.name {
        "roc" => ["run", "threshold", "false_positive_rate", "true_positive_rate"],
        _ => ["run", "threshold", "recall", "precision"],
    };
    let mut table = Table::new(&columns);
    for run in runs {
        for point in (kind.points)(run) {
            table.push([run.run.into(), point.threshold.into(), point.x.into(), point.y.into()]);
        }
    }
    table
}
