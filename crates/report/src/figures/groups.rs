//! Groups of images, such as generators, side by side: how well each is told from the real images.

use artifacts::schema::{Group, Groups};
use maud::html;

use super::Figure;
use crate::number::{count, score};
use crate::plot::{Axes, Axis, Ink, Panel, Row, interval_row};
use crate::table::Table;
use crate::text::visible;

const ROW: f64 = 26.0;
const WIDTH: f64 = 1000.0;
const NAMES: f64 = 220.0;
/// Groups beyond these are in the table and the CSV only.
const MOST: usize = 40;

/// ROC-AUC of each group with its interval, worst first; `None` where no group has one.
pub(crate) fn groups(groups: &Groups, name: &'static str, what: &str) -> Option<Figure> {
    let mut rows: Vec<(&Group, f64)> =
        groups.groups.iter().filter_map(|group| Some((group, group.scores.roc_auc?))).collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.name.cmp(&b.0.name)));
    let shown = &rows[..rows.len().min(MOST)];
    let low_end =
        |row: &(&Group, f64)| row.0.intervals.get("roc_auc").map_or(row.1, |interval| interval.low.min(row.1));
    let lowest = shown.iter().map(low_end).fold(1.0, f64::min);
    let from = if lowest >= 0.5 { 0.5 } else { 0.0 };
    let panel = Panel { left: NAMES, top: 4.0, width: WIDTH - NAMES - 80.0, height: ROW * shown.len() as f64 };
    let x = Axis::new("ROC-AUC against all real images", [from, 1.0], 5);
    let axes = Axes { panel, x, y: Axis::none() };
    let body = html! {
        (axes.draw())
        @for (i, (group, roc_auc)) in shown.iter().enumerate() {
            (interval_row(&axes, panel.top + ROW * (i as f64 + 0.5), (WIDTH, ROW), Ink::Fake, &row(group, *roc_auc)))
        }
    };
    Some(Figure {
        name,
        title: format!("ROC-AUC by {what}"),
        description: describe(&rows, what),
        size: (WIDTH, panel.bottom() + 50.0),
        panel: None,
        body,
        hover: Vec::new(),
        numbers: numbers(groups),
    })
}

fn row(group: &Group, roc_auc: f64) -> Row {
    let interval = group.intervals.get("roc_auc").copied();
    let range = interval.map(|i| format!("\n95% interval {} to {}", score(Some(i.low)), score(Some(i.high))));
    let words = format!(
        "{}\nROC-AUC {}{}\n{} fakes",
        visible(&group.name),
        score(Some(roc_auc)),
        range.unwrap_or_default(),
        count(group.fakes)
    );
    Row { name: shortened(&group.name), value: roc_auc, interval, number: score(Some(roc_auc)), words }
}

/// A name that fits beside the drawing; the whole one is in the table.
fn shortened(name: &str) -> String {
    const FITS: usize = 26;
    let name = visible(name);
    if name.chars().count() <= FITS {
        return name;
    }
    name.chars().take(FITS - 1).chain(['…']).collect()
}

fn describe(rows: &[(&Group, f64)], what: &str) -> String {
    let (worst, best) = (&rows[0], &rows[rows.len() - 1]);
    format!(
        "ROC-AUC with its 95% interval for each {what}, worst first: from {} ({}) to {} ({}).",
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
        ]);
    }
    table
}
