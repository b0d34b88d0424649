//! Loss and accuracy over the epochs of training.

use artifacts::schema::Epoch;
use maud::{Markup, html};

use super::{Figure, HoverPoint};
use crate::number::{compact, score};
use crate::plot::{self, Anchor, Axes, Axis, Ink, Panel, Stroke, circle, text};
use crate::table::Table;

const SIZE: (f64, f64) = (520.0, 320.0);
const PANEL: Panel = Panel { left: 40.0, top: 30.0, width: 396.0, height: 236.0 };

/// One quantity on both splits.
struct Quantity {
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    train: fn(&Epoch) -> f64,
    val: fn(&Epoch) -> f64,
    /// Whether the axis starts at 0 rather than near the lowest value.
    from_zero: bool,
    /// The most the quantity can be, if there is a most.
    ceiling: f64,
}

/// Cross-entropy of every run; `None` where there was no training.
pub(crate) fn loss(runs: &[Vec<Epoch>]) -> Option<Figure> {
    let quantity = Quantity {
        name: "training-loss",
        title: "Loss by epoch",
        axis: "Cross-entropy in nats",
        train: |epoch| epoch.train_loss,
        val: |epoch| epoch.val_loss,
        from_zero: true,
        ceiling: f64::INFINITY,
    };
    draw(&quantity, runs)
}

/// Accuracy of every run; `None` where there was no training.
pub(crate) fn accuracy(runs: &[Vec<Epoch>]) -> Option<Figure> {
    let quantity = Quantity {
        name: "training-accuracy",
        title: "Accuracy by epoch",
        axis: "Accuracy at threshold 0.5",
        train: |epoch| epoch.train_accuracy,
        val: |epoch| epoch.val_accuracy,
        from_zero: false,
        ceiling: 1.0,
    };
    draw(&quantity, runs)
}

fn draw(quantity: &Quantity, runs: &[Vec<Epoch>]) -> Option<Figure> {
    let first = runs.first().filter(|epochs| !epochs.is_empty())?;
    let axes = axes(quantity, runs)?;
    let points = |epochs: &[Epoch], of: fn(&Epoch) -> f64| -> Vec<(f64, f64)> {
        let finite = epochs.iter().filter(|epoch| of(epoch).is_finite());
        finite.map(|epoch| axes.at(epoch.epoch as f64, of(epoch))).collect()
    };
    let train = points(first, quantity.train);
    let val = points(first, quantity.val);
    let best = first.iter().rev().find(|epoch| epoch.best && (quantity.val)(epoch).is_finite());
    let body = html! {
        (axes.draw())
        @for epochs in &runs[1..] {
            (plot::curve(&points(epochs, quantity.train), Stroke::dashed(Ink::Other, 1.0)))
            (plot::curve(&points(epochs, quantity.val), Stroke::solid(Ink::Other, 1.0)))
        }
        (plot::curve(&train, Stroke::dashed(Ink::Second, 1.8)))
        (plot::curve(&val, Stroke::solid(Ink::First, 2.2)))
        @if first.len() == 1 {
            @for (point, ink) in [(&train, Ink::Second), (&val, Ink::First)] {
                @for at in point { (circle(*at, 4.0, ink)) }
            }
        }
        @if let Some(best) = best {
            (circle(axes.at(best.epoch as f64, (quantity.val)(best)), 5.0, Ink::First))
        }
        (labels(&train, &val))
    };
    Some(Figure {
        name: quantity.name,
        title: quantity.title.to_owned(),
        description: describe(quantity, first, best, runs.len()),
        size: SIZE,
        panel: None,
        body,
        hover: first.iter().map(|epoch| hover(quantity, &axes, epoch)).collect(),
        numbers: numbers(quantity, runs),
    })
}

fn axes(quantity: &Quantity, runs: &[Vec<Epoch>]) -> Option<Axes> {
    let values = || {
        let both = |epoch: &Epoch| [(quantity.train)(epoch), (quantity.val)(epoch)];
        runs.iter().flatten().flat_map(both).filter(|value| value.is_finite())
    };
    let low = values().reduce(f64::min)?;
    let high = values().reduce(f64::max)?;
    let room = (high - low).max(0.02) * 0.08;
    let bottom = if quantity.from_zero { 0.0 } else { (low - room).max(0.0) };
    let last = runs.iter().flatten().map(|epoch| epoch.epoch).max()?;
    let count = last.clamp(1, 8);
    let mut x = Axis::new("Epoch", [1.0, last.max(2) as f64], count);
    x.ticks.retain(|(value, _)| value.fract() == 0.0 && *value <= last as f64);
    let y = Axis::new(quantity.axis, [bottom, (high + room).min(quantity.ceiling)], 5);
    Some(Axes { panel: PANEL, x, y })
}

/// The names of both lines at their ends, moved apart where they would touch.
fn labels(train: &[(f64, f64)], val: &[(f64, f64)]) -> Markup {
    const APART: f64 = 16.0;
    let end = |points: &[(f64, f64)]| points.last().copied().unwrap_or((PANEL.right(), PANEL.top));
    let (train, val) = (end(train), end(val));
    let middle = (train.1 + val.1) / 2.0;
    let (train_y, val_y) = match train.1 - val.1 {
        gap if gap.abs() >= APART => (train.1, val.1),
        gap if gap >= 0.0 => (middle + APART / 2.0, middle - APART / 2.0),
        _ => (middle - APART / 2.0, middle + APART / 2.0),
    };
    html! {
        (text((train.0 + 12.0, train_y + 4.0), Anchor::Start, Ink::Second, 12.0, true, "training"))
        (text((val.0 + 12.0, val_y + 4.0), Anchor::Start, Ink::First, 12.0, true, "validation"))
    }
}

fn describe(quantity: &Quantity, first: &[Epoch], best: Option<&Epoch>, runs: usize) -> String {
    let last = &first[first.len() - 1];
    let mut words = format!(
        "{} over {} of run 0; at the last one {} in training and {} in validation.",
        quantity.axis,
        crate::number::counted(first.len() as u64, "epoch"),
        score(Some((quantity.train)(last))),
        score(Some((quantity.val)(last)))
    );
    if let Some(best) = best {
        words.push_str(&format!(" Epoch {} was kept as the best.", best.epoch));
    }
    if runs > 1 {
        words.push_str(&format!(" {} further runs lie behind it.", runs - 1));
    }
    words
}

fn hover(quantity: &Quantity, axes: &Axes, epoch: &Epoch) -> HoverPoint {
    let words = format!(
        "epoch {}{}\ntraining {}\nvalidation {}",
        epoch.epoch,
        if epoch.best { " · best so far" } else { "" },
        compact((quantity.train)(epoch), 4),
        compact((quantity.val)(epoch), 4)
    );
    HoverPoint { at: axes.at(epoch.epoch as f64, (quantity.val)(epoch)), words }
}

fn numbers(quantity: &Quantity, runs: &[Vec<Epoch>]) -> Table {
    let mut table = Table::new(&["run", "epoch", "train", "val", "best"]);
    for (run, epochs) in runs.iter().enumerate() {
        for epoch in epochs {
            table.push([
                (run as u64).into(),
                (epoch.epoch as u64).into(),
                (quantity.train)(epoch).into(),
                (quantity.val)(epoch).into(),
                u64::from(epoch.best).into(),
            ]);
        }
    }
    table
}
