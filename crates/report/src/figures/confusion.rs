//! The confusion matrix as a figure for slides. The page has a table instead, which changes with the threshold.

use artifacts::Label;
use artifacts::schema::Scores;
use maud::html;

use crate::figure::Figure;
use crate::format_number::{compact, count, ratio, share};
use crate::plot::{Anchor, Colour, Legend, rect, text};
use crate::table::Table;

const SIZE: (f64, f64) = (400.0, 330.0);
const LEFT: f64 = 84.0;
const TOP: f64 = 54.0;
const CELL: (f64, f64) = (150.0, 120.0);
/// The opacity of a cell that contains all images of its row. It is low enough for text to stay readable.
const MAX_OPACITY: f64 = 0.34;

/// Draws the confusion matrix.
pub(crate) fn draw(scores: &Scores) -> Figure {
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
            (text((x, TOP - 14.0), Anchor::Middle, Colour::Text, 13.0, false, &format!("called {called}")))
        }
        @for (row, (truth, cells)) in rows.iter().enumerate() {
            @let y = TOP + row as f64 * CELL.1;
            @let row_total = cells[0].1 + cells[1].1;
            (text((LEFT - 12.0, y + CELL.1 / 2.0 + 4.0), Anchor::End, Colour::Text, 13.0, false, &format!("truly {truth}")))
            @for (column, (called, images)) in cells.iter().enumerate() {
                @let x = LEFT + column as f64 * CELL.0;
                @let opacity = 0.04 + MAX_OPACITY * ratio(*images, row_total).unwrap_or(0.0);
                @let colour = match called { Label::Real => Colour::Real, Label::Fake => Colour::Fake };
                (rect((x + 2.0, y + 2.0), (CELL.0 - 4.0, CELL.1 - 4.0), colour, opacity))
                (text((x + CELL.0 / 2.0, y + CELL.1 / 2.0 + 2.0), Anchor::Middle, Colour::Text, 22.0, true, &count(*images)))
                (text((x + CELL.0 / 2.0, y + CELL.1 / 2.0 + 22.0), Anchor::Middle, Colour::Text, 12.0, false,
                    &share(*images, row_total)))
            }
        }
    };
    let at = compact(scores.threshold, 4);
    Figure {
        name: "confusion".into(),
        title: format!("Confusion matrix at threshold {at}"),
        description: format!(
            "Of {} real images, {} were called fake. Of {} fakes, {} were called real.",
            count(c.true_negative + c.false_positive),
            count(c.false_positive),
            count(c.true_positive + c.false_negative),
            count(c.false_negative)
        ),
        size: SIZE,
        panel: None,
        body,
        legend: Legend::default(),
        hover: Vec::new(),
        numbers,
    }
}
