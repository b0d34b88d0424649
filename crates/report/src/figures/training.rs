//! Learning curves: loss and accuracy over the epochs.

use artifacts::schema::Epoch;
use maud::html;

use crate::figure::{Figure, HoverPoint};
use crate::format_number::{compact, count_noun, score};
use crate::plot::{self, Axes, Axis, Colour, Legend, Panel, Stroke, circle};
use crate::table::Table;

const SIZE: (f64, f64) = (520.0, 320.0);
const PANEL: Panel = Panel { left: 40.0, top: 30.0, width: 466.0, height: 236.0 };
/// The lines of the first run.
const TRAINING: Stroke = Stroke::dashed(Colour::Secondary, 1.8);
const VALIDATION: Stroke = Stroke::solid(Colour::Primary, 2.2);
/// The line of the other runs on the validation split. That on the training split is dashed.
const OTHERS: Stroke = Stroke::solid(Colour::Faint, 1.0);

/// A quantity that is measured on the training and on the validation split.
struct Quantity {
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    train: fn(&Epoch) -> f64,
    val: fn(&Epoch) -> f64,
    /// Whether the axis starts at 0 rather than near the lowest value.
    from_zero: bool,
    /// The largest possible value.
    ceiling: f64,
}

/// Draws the cross-entropy of each run. Returns `None` if there is no training run.
pub(crate) fn draw_loss(runs: &[Vec<Epoch>]) -> Option<Figure> {
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

/// Draws the accuracy of each run. Returns `None` if there is no training run.
pub(crate) fn draw_accuracy(runs: &[Vec<Epoch>]) -> Option<Figure> {
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
            (plot::curve(&points(epochs, quantity.train), Stroke::dashed(Colour::Faint, 1.0)))
            (plot::curve(&points(epochs, quantity.val), OTHERS))
        }
        (plot::curve(&train, TRAINING))
        (plot::curve(&val, VALIDATION))
        @if first.len() == 1 {
            @for (point, colour) in [(&train, Colour::Secondary), (&val, Colour::Primary)] {
                @for at in point { (circle(*at, 4.0, colour)) }
            }
        }
        @if let Some(best) = best {
            (circle(axes.at(best.epoch as f64, (quantity.val)(best)), 5.0, Colour::Primary))
        }
    };
    Some(Figure {
        name: quantity.name.into(),
        title: quantity.title.to_owned(),
        description: describe(quantity, first, best, runs.len()),
        size: SIZE,
        panel: None,
        body,
        legend: legend(runs.len()),
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
    let margin = (high - low).max(0.02) * 0.08;
    let bottom = if quantity.from_zero { 0.0 } else { (low - margin).max(0.0) };
    let last = runs.iter().flatten().map(|epoch| epoch.epoch).max()?;
    let count = last.clamp(1, 8);
    let mut x = Axis::new("Epoch", [1.0, last.max(2) as f64], count);
    x.ticks.retain(|(value, _)| value.fract() == 0.0 && *value <= last as f64);
    let y = Axis::new(quantity.axis, [bottom, (high + margin).min(quantity.ceiling)], 5);
    Some(Axes { panel: PANEL, x, y })
}

fn legend(runs: usize) -> Legend {
    let legend = Legend::default().line(TRAINING, "training").line(VALIDATION, "validation");
    match runs {
        1 => legend,
        2 => legend.line(OTHERS, "the other run"),
        _ => legend.line(OTHERS, "other runs"),
    }
}

fn describe(quantity: &Quantity, first: &[Epoch], best: Option<&Epoch>, runs: usize) -> String {
    let last = &first[first.len() - 1];
    let mut description = format!(
        "{} over {} of run 0. In the last epoch it is {} on the training split and {} on the validation split.",
        quantity.axis,
        count_noun(first.len() as u64, "epoch"),
        score(Some((quantity.train)(last))),
        score(Some((quantity.val)(last)))
    );
    if let Some(best) = best {
        description.push_str(&format!(" Epoch {} has the best checkpoint.", best.epoch));
    }
    match runs {
        0 | 1 => {}
        2 => description.push_str(" The other run is drawn behind it."),
        _ => description.push_str(&format!(" The {} other runs are drawn behind it.", runs - 1)),
    }
    description
}

fn hover(quantity: &Quantity, axes: &Axes, epoch: &Epoch) -> HoverPoint {
    let tooltip = format!(
        "epoch {}{}\ntraining {}\nvalidation {}",
        epoch.epoch,
        if epoch.best { ", best so far" } else { "" },
        compact((quantity.train)(epoch), 4),
        compact((quantity.val)(epoch), 4)
    );
    HoverPoint { at: axes.at(epoch.epoch as f64, (quantity.val)(epoch)), tooltip }
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
