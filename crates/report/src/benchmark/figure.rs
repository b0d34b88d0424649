//! The means of all detectors on a benchmark.

use artifacts::schema::{BenchmarkCopy, Metric, PublishedResult};
use maud::html;

use super::{Evaluated, by_mean, results_table};
use crate::escape::{shortened, visible};
use crate::figure::Figure;
use crate::format_number::{count, score};
use crate::plot::{Anchor, Axes, Axis, Colour, IntervalRow, Legend, Panel, interval_row, text};

const LINE_HEIGHT: f64 = 26.0;
const WIDTH: f64 = 1000.0;
const NAME_WIDTH: f64 = 260.0;
/// The maximum length of a name, which must fit beside the chart.
const MAX_NAME_CHARS: usize = 32;
/// The maximum length of the heading of a source, which must fit into the chart.
const MAX_HEADING_CHARS: usize = 100;
/// The maximum number of lines. The other detectors are in the tables and the CSV file only.
const MAX_LINES: usize = 80;

/// A line of the chart.
enum Line {
    /// The source of the detectors below.
    Heading(String),
    Detector(IntervalRow, Colour),
}

/// Draws the mean of each detector, those that were measured here first, the others by source. Returns `None` if no
/// detector has one.
pub(super) fn draw(copy: &BenchmarkCopy, metric: &Metric, evaluated: &[Evaluated]) -> Option<Figure> {
    let mut lines: Vec<Line> = evaluated.iter().filter_map(|detector| measured_line(detector, metric)).collect();
    for source in &copy.published {
        let of_metric = by_mean(source).into_iter().filter(|result| result.metric == metric.key);
        let rows: Vec<Line> = of_metric.map(|result| published_line(result, metric)).collect();
        if !rows.is_empty() {
            lines.push(Line::Heading(shortened(&source.source, MAX_HEADING_CHARS)));
            lines.extend(rows);
        }
    }
    lines.truncate(MAX_LINES);
    let drawn = lines.iter().filter(|line| matches!(line, Line::Detector(..))).count();
    if drawn == 0 {
        return None;
    }
    let height = LINE_HEIGHT * lines.len() as f64;
    let panel = Panel { left: NAME_WIDTH, top: 4.0, width: WIDTH - NAME_WIDTH - 80.0, height };
    let x = Axis::new(format!("{}, mean over the generators", metric.name), [metric.range.0, metric.range.1], 5);
    let axes = Axes { panel, x, y: Axis::none() };
    let body = html! {
        (axes.draw())
        @for (i, line) in lines.iter().enumerate() {
            @let y = panel.top + LINE_HEIGHT * (i as f64 + 0.5);
            @match line {
                Line::Heading(title) => (text((panel.left, y + 4.0), Anchor::Start, Colour::Muted, 12.0, true, title)),
                Line::Detector(row, colour) => (interval_row(&axes, y, (WIDTH, LINE_HEIGHT), *colour, row)),
            }
        }
    };
    Some(Figure {
        name: "means".into(),
        title: format!("{} on {}", metric.name, visible(&copy.name)),
        description: format!(
            "Mean over the generators of {} detectors: those measured here with their intervals, then the published \
             ones below their source.",
            count(drawn as u64)
        ),
        size: (WIDTH, panel.bottom() + 50.0),
        panel: None,
        body,
        legend: Legend::default().area(Colour::Fake, "measured here").area(Colour::Muted, "published"),
        hover: Vec::new(),
        numbers: results_table(copy, metric, evaluated),
    })
}

fn measured_line(detector: &Evaluated, metric: &Metric) -> Option<Line> {
    let result = detector.result(metric);
    let (value, number) = (result.mean?, score(result.mean));
    let tooltip = format!("{}\nmeasured here\n{} {number}", visible(result.name), metric.name);
    let name = shortened(result.name, MAX_NAME_CHARS);
    Some(Line::Detector(IntervalRow { name, value, interval: result.interval, number, tooltip }, Colour::Fake))
}

fn published_line(result: &PublishedResult, metric: &Metric) -> Line {
    let number = score(Some(result.mean));
    let training = result.training.as_ref().map(|training| format!("\ntrained on {}", visible(training)));
    let method = visible(&result.method);
    let tooltip = format!("{method}\npublished\n{} {number}{}", metric.name, training.unwrap_or_default());
    let name = shortened(&result.method, MAX_NAME_CHARS);
    Line::Detector(IntervalRow { name, value: result.mean, interval: None, number, tooltip }, Colour::Muted)
}
