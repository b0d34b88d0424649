//! ROC-AUC of each group of images, such as each generator.

use std::borrow::Cow;

use artifacts::schema::{Group, Groups};
use maud::html;

use crate::escape::{shortened, visible};
use crate::figure::Figure;
use crate::format_number::{count, score};
use crate::plot::{Axes, Axis, Colour, IntervalRow, Legend, Panel, interval_row};
use crate::table::Table;

const ROW_HEIGHT: f64 = 26.0;
const WIDTH: f64 = 1000.0;
const NAME_WIDTH: f64 = 220.0;
/// The maximum length of a name, which must fit beside the chart. The table has the full name.
const MAX_NAME_CHARS: usize = 26;
/// The maximum number of groups in the figure. The others are in the table and the CSV file only.
const MAX_GROUPS: usize = 40;

/// Draws the ROC-AUC of each generator against all real images. Returns `None` if there is none.
pub(crate) fn draw_generators(groups: &Groups) -> Option<Figure> {
    draw(groups, "generators".into(), "generator", "ROC-AUC against all real images")
}

/// Draws the ROC-AUC of each source. Returns `None` if there is none.
pub(crate) fn draw_sources(groups: &Groups) -> Option<Figure> {
    draw(groups, "sources".into(), "source", "ROC-AUC")
}

/// Draws the ROC-AUC of each cell of a column, which has this number from 1. Returns `None` if there is none.
pub(crate) fn draw_column(groups: &Groups, number: usize, column: &str) -> Option<Figure> {
    draw(groups, format!("column-{number}").into(), &visible(column), "ROC-AUC")
}

/// Draws the ROC-AUC of each group with its interval, worst first. `kind` is the kind of group, such as "generator".
fn draw(groups: &Groups, name: Cow<'static, str>, kind: &str, axis: &str) -> Option<Figure> {
    let mut rows: Vec<(&Group, f64)> =
        groups.groups.iter().filter_map(|group| Some((group, group.scores.roc_auc?))).collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.name.cmp(&b.0.name)));
    let shown = &rows[..rows.len().min(MAX_GROUPS)];
    let low_end =
        |row: &(&Group, f64)| row.0.intervals.get("roc_auc").map_or(row.1, |interval| interval.low.min(row.1));
    let lowest = shown.iter().map(low_end).fold(1.0, f64::min);
    let from = if lowest >= 0.5 { 0.5 } else { 0.0 };
    let panel =
        Panel { left: NAME_WIDTH, top: 4.0, width: WIDTH - NAME_WIDTH - 80.0, height: ROW_HEIGHT * shown.len() as f64 };
    let x = Axis::new(axis, [from, 1.0], 5);
    let axes = Axes { panel, x, y: Axis::none() };
    let body = html! {
        (axes.draw())
        @for (i, (group, roc_auc)) in shown.iter().enumerate() {
            (interval_row(&axes, panel.top + ROW_HEIGHT * (i as f64 + 0.5), (WIDTH, ROW_HEIGHT), Colour::Fake, &row(group, *roc_auc)))
        }
    };
    Some(Figure {
        name,
        title: format!("ROC-AUC by {kind}"),
        description: describe(&rows, kind),
        size: (WIDTH, panel.bottom() + 50.0),
        panel: None,
        body,
        legend: Legend::default(),
        hover: Vec::new(),
        numbers: numbers(groups),
    })
}

fn row(group: &Group, roc_auc: f64) -> IntervalRow {
    let interval = group.intervals.get("roc_auc").copied();
    let range =
        interval.map(|i| format!("\n95% confidence interval {} to {}", score(Some(i.low)), score(Some(i.high))));
    let tooltip = format!(
        "{}\nROC-AUC {}{}\n{} fakes",
        visible(&group.name),
        score(Some(roc_auc)),
        range.unwrap_or_default(),
        count(group.fakes)
    );
    IntervalRow {
        name: shortened(&group.name, MAX_NAME_CHARS),
        value: roc_auc,
        interval,
        number: score(Some(roc_auc)),
        tooltip,
    }
}

fn describe(rows: &[(&Group, f64)], kind: &str) -> String {
    let (worst, best) = (&rows[0], &rows[rows.len() - 1]);
    if rows.len() == 1 {
        return format!(
            "ROC-AUC with its 95% confidence interval of {}, the only {kind} with images of both classes: {}.",
            visible(&worst.0.name),
            score(Some(worst.1))
        );
    }
    format!(
        "ROC-AUC with its 95% confidence interval for each {kind}, lowest first: from {} ({}) to {} ({}).",
        score(Some(worst.1)),
        visible(&worst.0.name),
        score(Some(best.1)),
        visible(&best.0.name)
    )
}

fn numbers(groups: &Groups) -> Table {
    let mut table = Table::new(&[
        "group",
        "real",
        "fake",
        "roc_auc",
        "roc_auc_low",
        "roc_auc_high",
        "real_accuracy",
        "fake_accuracy",
        "inconclusive",
        "wrong_verdicts",
    ]);
    for group in &groups.groups {
        let interval = group.intervals.get("roc_auc");
        table.push([
            group.name.as_str().into(),
            group.reals.into(),
            group.fakes.into(),
            group.scores.roc_auc.into(),
            interval.map(|i| i.low).into(),
            interval.map(|i| i.high).into(),
            group.scores.real_accuracy.into(),
            group.scores.fake_accuracy.into(),
            group.fitted_verdicts.and_then(|verdicts| verdicts.inconclusive).into(),
            group.fitted_verdicts.and_then(|verdicts| verdicts.wrong).into(),
        ]);
    }
    table
}
