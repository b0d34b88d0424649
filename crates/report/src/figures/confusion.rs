//! The confusion matrix, as a figure for slides. The page has it as a table that the threshold moves.

use artifacts::Label;
use artifacts::schema::Scores;
use maud::html;

use super::Figure;
use crate::number::{compact, count, ratio, share};
use crate::plot::{Anchor, Ink, rect, text};
use crate::table::Table;

const SIZE: (f64, f64) = (400.0, 330.0);
const LEFT: f64 = 84.0;
const TOP: f64 = 54.0;
const CELL: (f64, f64) = (150.0, 120.0);
/// Opacity of a cell that holds all of its row; text stays readable on it.
const FULL: f64 = 0.34;

/// The counts of what was called what.
pub(crate) fn confusion(scores: &Scores) -> Figure {
    let c = scores.confusion;
    let rows = [
        (Label::Real, [(Label::Real, c.true_negative), (Label::Fake, c.false_positive)]),
        (Label::Fake, [(Label::Real, c.false_negative), (Label::Fake, c.true_positive)]),
    ];
    let mut numbers = Table::new(&["truth", "called", "images"]);
    for (truth, cells) in &rows {
        for (called, images) in cells {
            numbers.push([(*truth).into(), (*called).into(), (*images).into()]);
        }
    }
    let body = html! {
        @for (column, called) in Label::ALL.into_iter().enumerate() {
            @let x = LEFT + (column as f64 + 0.5) * CELL.0;
            (text((x, TOP - 14.0), Anchor::Middle, Ink::Text, 13.0, false, &format!("called {called}")))
        }
        @for (row, (truth, cells)) in rows.iter().enumerate() {
            @let y = TOP + row as f64 * CELL.1;
            @let whole = cells[0].1 + cells[1].1;
            (text((LEFT - 12.0, y + CELL.1 / 2.0 + 4.0), Anchor::End, Ink::Text, 13.0, false, &format!("truly {truth}")))
            @for (column, (called, images)) in cells.iter().enumerate() {
                @let x = LEFT + column as f64 * CELL.0;
                @let opacity = 0.04 + FULL * ratio(*images, whole).unwrap_or(0.0);
                @let ink = match called { Label::Real => Ink::Real, Label::Fake => Ink::Fake };
                (rect((x + 2.0, y + 2.0), (CELL.0 - 4.0, CELL.1 - 4.0), ink, opacity))
                (text((x + CELL.0 / 2.0, y + CELL.1 / 2.0 + 2.0), Anchor::Middle, Ink::Text, 22.0, true, &count(*images)))
                (text((x + CELL.0 / 2.0, y + CELL.1 / 2.0 + 22.0), Anchor::Middle, Ink::Text, 12.0, false,
                    &share(*images, whole)))
            }
        }
    };
    let at = compact(scores.threshold, 4);
    Figure {
        name: "confusion",
        title: format!("Confusion matrix at threshold {at}"),
        description: format!(
            "Of {} real images {} were called fake; of {} fakes {} were called real.",
            count(c.true_negative + c.false_positive),
            count(c.false_positive),
            count(c.true_positive + c.false_negative),
            count(c.false_negative)
        ),
        size: SIZE,
        panel: None,
        body,
        hover: Vec::new(),
        numbers,
    }
}
