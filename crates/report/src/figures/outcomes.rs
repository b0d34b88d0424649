//! The answer as a picture: of a hundred real images and a hundred fakes, how many are called what.

use artifacts::Label;
use artifacts::schema::Confusion;
use maud::{Markup, html};

use super::Figure;
use crate::number::{count, in_hundred, ratio, share};
use crate::plot::{Anchor, Ink, circle, rect, text};
use crate::table::Table;

const SIZE: (f64, f64) = (480.0, 268.0);
const PITCH: f64 = 20.0;
const DOT: f64 = 14.0;
const TOP: f64 = 30.0;

/// Two fields of a hundred images each; `None` without images of either class.
pub(crate) fn outcomes(confusion: &Confusion) -> Option<Figure> {
    let reals = confusion.true_negative + confusion.false_positive;
    let fakes = confusion.true_positive + confusion.false_negative;
    let accused = ratio(confusion.false_positive, reals)?;
    let missed = ratio(confusion.false_negative, fakes)?;
    let mut numbers = Table::new(&["truth", "images", "wrong", "share_wrong"]);
    numbers.push(["real".into(), reals.into(), confusion.false_positive.into(), accused.into()]);
    numbers.push(["fake".into(), fakes.into(), confusion.false_negative.into(), missed.into()]);
    let fields = [
        (14.0, Label::Real, "Of 100 real images", accused, "called fake: false alarms"),
        (266.0, Label::Fake, "Of 100 fakes", missed, "called real: missed"),
    ];
    let body = html! {
        @for (left, truth, heading, wrong, consequence) in fields {
            @let hundred = per_hundred(wrong);
            (text((left, 16.0), Anchor::Start, Ink::Text, 14.0, true, heading))
            (field(left, truth, hundred))
            (text((left, TOP + 10.0 * PITCH + 20.0), Anchor::Start, Ink::Text, 13.0, false,
                &format!("{} {consequence}", in_hundred(wrong))))
        }
    };
    Some(Figure {
        name: "outcomes",
        title: "Right and wrong verdicts in a hundred".to_owned(),
        description: format!(
            "{} of {} real images are called fake ({}); {} of {} fakes are called real ({}).",
            count(confusion.false_positive),
            count(reals),
            share(confusion.false_positive, reals),
            count(confusion.false_negative),
            count(fakes),
            share(confusion.false_negative, fakes)
        ),
        size: SIZE,
        panel: None,
        body,
        hover: Vec::new(),
        numbers,
    })
}

/// A hundred marks: circles in the colour of real for what was called real, squares in the colour of fake for what was
/// called fake; wrong verdicts come last.
fn field(left: f64, truth: Label, wrong: u32) -> Markup {
    html! {
        @for i in 0..100u32 {
            @let right = i < 100 - wrong;
            @let called = if right { truth } else { other(truth) };
            @let corner = (left + f64::from(i % 10) * PITCH, TOP + f64::from(i / 10) * PITCH);
            @match called {
                Label::Real => (circle((corner.0 + DOT / 2.0, corner.1 + DOT / 2.0), DOT / 2.0 + 0.5, Ink::Real)),
                Label::Fake => (rect(corner, (DOT, DOT), Ink::Fake, 1.0)),
            }
        }
    }
}

fn other(label: Label) -> Label {
    match label {
        Label::Real => Label::Fake,
        Label::Fake => Label::Real,
    }
}

/// Whole marks for a share; what happened at all, or not always, shows as at least one mark.
fn per_hundred(share: f64) -> u32 {
    let rounded = (100.0 * share).round() as u32;
    if share > 0.0 && share < 1.0 { rounded.clamp(1, 99) } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_errors_are_still_shown() {
        assert_eq!(
            [per_hundred(0.0), per_hundred(0.001), per_hundred(0.126), per_hundred(0.999), per_hundred(1.0)],
            [0, 1, 13, 99, 100]
        );
    }

    #[test]
    fn one_class_has_no_picture() {
        assert!(outcomes(&Confusion { true_positive: 3, ..Confusion::default() }).is_none());
    }
}
