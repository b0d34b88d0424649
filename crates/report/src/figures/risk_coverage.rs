//! The risk-coverage curve: how many verdicts are wrong if only the most certain images get one.

use artifacts::schema::{BandPoint, CurvePoint, RunMetrics};
use maud::html;

use crate::figure::{Figure, HoverPoint, subsample};
use crate::format_number::{compact, percent, score};
use crate::plot::{self, Axes, Axis, Colour, Legend, Panel, Stroke, circle, downsample, line};
use crate::table::Table;

const SIZE: (f64, f64) = (480.0, 380.0);
const PANEL: Panel = Panel { left: 40.0, top: 30.0, width: 424.0, height: 300.0 };
/// The width in pixels of a column in which points cannot be distinguished: one physical pixel of a screen with two per
/// CSS pixel.
const COLUMN: f64 = 0.5;
/// The smallest coverage that is drawn. At smaller ones, a few verdicts decide the share of wrong ones.
const MIN_COVERAGE: f64 = 0.05;
/// The share of wrong verdicts that `coverage_at_5_wrong` allows.
const ALLOWED: f64 = 0.05;
/// The line of the first run, and that of the others.
const FIRST: Stroke = Stroke::solid(Colour::Primary, 2.0);
const OTHERS: Stroke = Stroke::solid(Colour::Faint, 1.2);

/// Draws the curve of each run, and the intervals of the first one. Returns `None` if the first run has no curve.
pub(crate) fn draw(runs: &[RunMetrics]) -> Option<Figure> {
    let first = runs.first().filter(|run| drawn(run).next().is_some())?;
    let highest = runs.iter().flat_map(drawn).map(|point| point.y).chain(drawn_band(first).map(|point| point.high));
    let highest = highest.fold(2.0 * ALLOWED, f64::max);
    let axes = Axes {
        panel: PANEL,
        x: Axis::unit("Share of images that get a verdict"),
        y: Axis::new("Share of wrong verdicts", [0.0, ((10.0 * highest).ceil() / 10.0).min(1.0)], 5),
    };
    let pixels = |run: &RunMetrics| {
        let points: Vec<_> = drawn(run).map(|point| axes.at(point.x, point.y)).collect();
        downsample(&points, COLUMN)
    };
    let edge = |end: fn(&BandPoint) -> f64| -> Vec<(f64, f64)> {
        drawn_band(first).map(|point| axes.at(point.x, end(point))).collect()
    };
    let body = html! {
        (axes.draw())
        (plot::band(&edge(|point| point.low), &edge(|point| point.high), Colour::Primary, 0.14))
        (line(axes.at(0.0, ALLOWED), axes.at(1.0, ALLOWED), Stroke::dashed(Colour::Axis, 1.0)))
        @for run in runs.iter().skip(1) {
            (plot::curve(&pixels(run), OTHERS))
        }
        (plot::curve(&pixels(first), FIRST))
        @if let Some(coverage) = first.scores.coverage_at_5_wrong.filter(|coverage| *coverage >= MIN_COVERAGE) {
            @let risk = risk_at(first, coverage);
            g class="marker" { (circle(axes.at(coverage, risk), 5.0, Colour::Marker)) }
        }
    };
    Some(Figure {
        name: "risk-coverage".into(),
        title: "Risk-coverage curve".to_owned(),
        description: describe(runs, first),
        size: SIZE,
        panel: Some(PANEL),
        body,
        legend: legend(runs, first),
        hover: runs.iter().flat_map(|run| hover(run, &axes, runs.len() > 1)).collect(),
        numbers: numbers(runs),
    })
}

/// The points of a curve that are drawn.
fn drawn(run: &RunMetrics) -> impl Iterator<Item = &CurvePoint> {
    run.risk_coverage.iter().filter(|point| point.x >= MIN_COVERAGE)
}

fn drawn_band(run: &RunMetrics) -> impl Iterator<Item = &BandPoint> {
    run.risk_coverage_band.iter().filter(|point| point.x >= MIN_COVERAGE)
}

/// Returns the share of wrong verdicts at the point nearest to a coverage.
fn risk_at(run: &RunMetrics, coverage: f64) -> f64 {
    let nearest = drawn(run).min_by(|a, b| (a.x - coverage).abs().total_cmp(&(b.x - coverage).abs()));
    nearest.map_or(ALLOWED, |point| point.y)
}

fn legend(runs: &[RunMetrics], first: &RunMetrics) -> Legend {
    let area = score(first.scores.risk_coverage_area);
    let legend = Legend::default();
    match runs {
        [_] => legend.line(FIRST, format!("risk-coverage area {area}")),
        _ => legend.line(FIRST, format!("run 0: risk-coverage area {area}")).line(OTHERS, area_range(runs)),
    }
}

/// Returns the range of the area over all runs, such as "5 runs: 0.051 to 0.063".
fn area_range(runs: &[RunMetrics]) -> String {
    let values = || runs.iter().filter_map(|run| run.scores.risk_coverage_area);
    let (low, high) = (values().reduce(f64::min), values().reduce(f64::max));
    format!("{} runs: {} to {}", runs.len(), score(low), score(high))
}

fn describe(runs: &[RunMetrics], first: &RunMetrics) -> String {
    let coverage = match first.scores.coverage_at_5_wrong {
        Some(coverage) if coverage >= MIN_COVERAGE => format!(
            "The dot marks the largest share of images, {}, that can get a verdict while at most 5% of the verdicts are wrong",
            percent(Some(coverage))
        ),
        coverage => format!(
            "At most 5% of the verdicts are wrong only if no more than {} of the images get one",
            percent(coverage)
        ),
    };
    let run = if runs.len() > 1 { " (run 0)" } else { "" };
    let band = if drawn_band(first).next().is_some() {
        " The shaded area contains the 95% confidence interval at each coverage."
    } else {
        ""
    };
    format!(
        "Share of wrong verdicts (y) if only the most certain images get one (x). The certainty is the distance of P(fake) \
         from 0.5. {coverage}{run}.{band} Coverages below {}% are not drawn.",
        compact(100.0 * MIN_COVERAGE, 1)
    )
}

fn hover<'a>(run: &'a RunMetrics, axes: &'a Axes, several: bool) -> impl Iterator<Item = HoverPoint> + 'a {
    let points: Vec<&CurvePoint> = drawn(run).collect();
    let point = move |point: &&CurvePoint| {
        let run_name = if several { format!("run {}\n", run.run) } else { String::new() };
        let threshold = point.threshold.map_or(String::new(), |threshold| {
            format!("\nP(fake) at most {} or at least {}", compact(1.0 - threshold, 4), compact(threshold, 4))
        });
        let tooltip =
            format!("{run_name}{} of the images\n{} wrong{threshold}", percent(Some(point.x)), percent(Some(point.y)));
        HoverPoint { at: axes.at(point.x, point.y), tooltip }
    };
    subsample(&points).map(point).collect::<Vec<_>>().into_iter()
}

fn numbers(runs: &[RunMetrics]) -> Table {
    let mut table = Table::new(&["run", "threshold", "coverage", "wrong_verdicts"]);
    for run in runs {
        for point in &run.risk_coverage {
            table.push([run.run.into(), point.threshold.into(), point.x.into(), point.y.into()]);
        }
    }
    table
}
