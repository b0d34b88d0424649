//! The means of all detectors on a benchmark.

use artifacts::schema::{BenchmarkCopy, Metric};
use maud::html;

use super::{Evaluated, results_table};
use crate::escape::{shortened, visible};
use crate::figure::Figure;
use crate::format_number::{count, score};
use crate::plot::{Axes, Axis, Colour, IntervalRow, Legend, Panel, interval_row};

const ROW_HEIGHT: f64 = 26.0;
const WIDTH: f64 = 1000.0;
const NAME_WIDTH: f64 = 260.0;
/// The maximum length of a name, which must fit beside the chart.
const MAX_NAME_CHARS: usize = 32;
/// The maximum number of rows. The others are in the tables and the CSV file only.
const MAX_ROWS: usize = 60;

/// Draws the mean of each detector, those that were measured here first, the others by source. Returns `None` if no
/// detector has one.
pub(super) fn draw(copy: &BenchmarkCopy, metric: &Metric, evaluated: &[Evaluated]) -> Option<Figure> {
    let measured = evaluated.iter().filter_map(|detector| {
        let result = detector.result(metric);
        let (value, number) = (result.mean?, score(result.mean));
        let tooltip = format!("{}\nmeasured here\n{} {number}", visible(result.name), metric.name);
        let row = IntervalRow { name: result.name.to_owned(), value, interval: result.interval, number, tooltip };
        Some((row, Colour::Fake))
    });
    let published = copy.published.iter().flat_map(|source| {
        source.results.iter().filter(|result| result.metric == metric.key).map(|result| {
            let number = score(Some(result.mean));
            let (method, place) = (visible(&result.method), visible(&source.source));
            let tooltip = format!("{method}\npublished: {place}\n{} {number}", metric.name);
            let row = IntervalRow { name: result.method.clone(), value: result.mean, interval: None, number, tooltip };
            (row, Colour::Muted)
        })
    });
    let rows: Vec<(IntervalRow, Colour)> = measured.chain(published).take(MAX_ROWS).collect();
    if rows.is_empty() {
        return None;
    }
    let height = ROW_HEIGHT * rows.len() as f64;
    let panel = Panel { left: NAME_WIDTH, top: 4.0, width: WIDTH - NAME_WIDTH - 80.0, height };
    let x = Axis::new(format!("{}, mean over the generators", metric.name), [metric.range.0, metric.range.1], 5);
    let axes = Axes { panel, x, y: Axis::none() };
    let shown = rows
        .iter()
        .map(|(row, colour)| (IntervalRow { name: shortened(&row.name, MAX_NAME_CHARS), ..row.clone() }, *colour));
    let body = html! {
        (axes.draw())
        @for (i, (row, colour)) in shown.enumerate() {
            (interval_row(&axes, panel.top + ROW_HEIGHT * (i as f64 + 0.5), (WIDTH, ROW_HEIGHT), colour, &row))
        }
    };
    Some(Figure {
        name: "means".into(),
        title: format!("{} on {}", metric.name, visible(&copy.name)),
        description: format!(
            "Mean over the generators of {} detectors: those measured here with their intervals, then the published \
             ones, source by source.",
            count(rows.len() as u64)
        ),
        size: (WIDTH, panel.bottom() + 50.0),
        panel: None,
        body,
        legend: Legend::default().area(Colour::Fake, "measured here").area(Colour::Muted, "published"),
        hover: Vec::new(),
        numbers: results_table(copy, metric, evaluated),
    })
}
