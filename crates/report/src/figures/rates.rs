//! ROC and precision-recall curves of all runs.

use artifacts::schema::{CurvePoint, RunMetrics};
use maud::{Markup, html};

use super::{Figure, HoverPoint, picked};
use crate::number::{compact, score};
use crate::plot::{self, Anchor, Axes, Axis, Ink, Panel, Stroke, circle, decimate, line, text};
use crate::table::Table;

const SIZE: (f64, f64) = (340.0, 340.0);
const PANEL: Panel = Panel { left: 36.0, top: 30.0, width: 294.0, height: 264.0 };
/// Width in pixels below which two points of a curve cannot be told apart, on a screen of twice the usual density.
const COLUMN: f64 = 0.5;

/// One of the two kinds of curve.
struct Kind {
    name: &'static str,
    title: &'static str,
    area: &'static str,
    x: &'static str,
    y: &'static str,
    /// What a point of the curve is, in words.
    reading: &'static str,
    curve: fn(&RunMetrics) -> &[CurvePoint],
    value: fn(&RunMetrics) -> Option<f64>,
}

/// The ROC curve of every run; `None` where no run has one.
pub(crate) fn roc(runs: &[RunMetrics]) -> Option<Figure> {
    let kind = Kind {
        name: "roc",
        title: "ROC curve",
        area: "ROC-AUC",
        x: "False-positive rate",
        y: "True-positive rate",
        reading: "Share of the real images called fake against share of the fakes called fake, at every threshold",
        curve: |run| &run.roc,
        value: |run| run.scores.roc_auc,
    };
    draw(&kind, runs, |axes| line(axes.at(0.0, 0.0), axes.at(1.0, 1.0), Stroke::dashed(Ink::Axis, 1.0)))
}

/// The precision-recall curve of every run; `None` where no run has one.
pub(crate) fn precision_recall(runs: &[RunMetrics]) -> Option<Figure> {
    let kind = Kind {
        name: "precision-recall",
        title: "Precision-recall curve",
        area: "PR-AUC",
        x: "Recall",
        y: "Precision",
        reading: "Share of the fakes called fake against share of fakes among what is called fake, at every threshold",
        curve: |run| &run.pr,
        value: |run| run.scores.pr_auc,
    };
    let confusion = runs.first()?.scores.confusion;
    let fakes = confusion.true_positive + confusion.false_negative;
    let prevalence = crate::number::ratio(fakes, runs.first()?.scores.n)?;
    draw(&kind, runs, |axes| line(axes.at(0.0, prevalence), axes.at(1.0, prevalence), Stroke::dashed(Ink::Axis, 1.0)))
}

fn draw(kind: &Kind, runs: &[RunMetrics], reference: impl Fn(&Axes) -> Markup) -> Option<Figure> {
    let first = runs.first().filter(|run| !(kind.curve)(run).is_empty())?;
    let axes = Axes { panel: PANEL, x: Axis::unit(kind.x), y: Axis::unit(kind.y) };
    let pixels = |run: &RunMetrics| {
        let points: Vec<_> = (kind.curve)(run).iter().map(|point| axes.at(point.x, point.y)).collect();
        decimate(&points, COLUMN)
    };
    let body = html! {
        (axes.draw())
        (reference(&axes))
        @for run in runs.iter().skip(1) {
            (plot::curve(&pixels(run), Stroke::solid(Ink::Other, 1.2)))
        }
        (plot::curve(&pixels(first), Stroke::solid(Ink::First, 2.0)))
        (legend(kind, runs))
        @if let Some(point) = point_at(first, kind) {
            @let (x, y) = axes.at(point.x, point.y);
            g class="mark" { (circle((x, y), 5.0, Ink::Mark)) }
        }
    };
    Some(Figure {
        name: kind.name,
        title: kind.title.to_owned(),
        description: describe(kind, runs),
        size: SIZE,
        panel: Some(PANEL),
        body,
        hover: runs.iter().flat_map(|run| hover(kind, run, &axes, runs.len() > 1)).collect(),
        numbers: numbers(kind, runs),
    })
}

/// The point of a curve at the headline's threshold: the one of the lowest threshold that is not below it.
fn point_at<'a>(run: &'a RunMetrics, kind: &Kind) -> Option<&'a CurvePoint> {
    let at = run.scores.threshold;
    let reached = |point: &&CurvePoint| point.threshold.is_none_or(|threshold| threshold >= at);
    let by_threshold = |a: &&CurvePoint, b: &&CurvePoint| {
        a.threshold.unwrap_or(f64::INFINITY).total_cmp(&b.threshold.unwrap_or(f64::INFINITY))
    };
    (kind.curve)(run).iter().filter(reached).min_by(by_threshold)
}

fn legend(kind: &Kind, runs: &[RunMetrics]) -> Markup {
    let right = PANEL.right() - 10.0;
    let bottom = PANEL.bottom() - 14.0;
    let value = runs.first().and_then(kind.value);
    html! {
        (text((right, bottom - if runs.len() > 1 { 18.0 } else { 0.0 }), Anchor::End, Ink::First, 14.0, true,
            &format!("{} {}", kind.area, score(value))))
        @if runs.len() > 1 {
            (text((right, bottom), Anchor::End, Ink::Muted, 12.0, false, &spread(kind, runs)))
        }
    }
}

/// The range over several runs: "5 runs: 0.951 to 0.963".
fn spread(kind: &Kind, runs: &[RunMetrics]) -> String {
    let values: Vec<f64> = runs.iter().filter_map(kind.value).collect();
    let low = values.iter().copied().reduce(f64::min);
    let high = values.iter().copied().reduce(f64::max);
    format!("{} runs: {} to {}", runs.len(), score(low), score(high))
}

fn describe(kind: &Kind, runs: &[RunMetrics]) -> String {
    let value = score(runs.first().and_then(kind.value));
    let several = if runs.len() > 1 { format!(" in run 0; {}", spread(kind, runs)) } else { String::new() };
    format!("{}; the dot is the threshold. {} {value}{several}.", kind.reading, kind.area)
}

fn hover<'a>(
    kind: &'a Kind,
    run: &'a RunMetrics,
    axes: &'a Axes,
    several: bool,
) -> impl Iterator<Item = HoverPoint> + 'a {
    picked((kind.curve)(run)).map(move |point| {
        let run_name = if several { format!("run {} · ", run.run) } else { String::new() };
        let threshold =
            point.threshold.map_or("above every score".to_owned(), |t| format!("threshold {}", compact(t, 4)));
        let words = format!(
            "{run_name}{threshold}\n{} {:.3}\n{} {:.3}",
            kind.x.to_lowercase(),
            point.x,
            kind.y.to_lowercase(),
            point.y
        );
        HoverPoint { at: axes.at(point.x, point.y), words }
    })
}

fn numbers(kind: &Kind, runs: &[RunMetrics]) -> Table {
    let columns = match kind.name {
        "roc" => ["run", "threshold", "false_positive_rate", "true_positive_rate"],
        _ => ["run", "threshold", "recall", "precision"],
    };
    let mut table = Table::new(&columns);
    for run in runs {
        for point in (kind.curve)(run) {
            table.push([run.run.into(), point.threshold.into(), point.x.into(), point.y.into()]);
        }
    }
    table
}
