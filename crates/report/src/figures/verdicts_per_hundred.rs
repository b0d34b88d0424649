//! Two grids of marks: how many of 100 real images, and of 100 fakes, are called real or fake. A class with fewer images
//! has a mark for each of them.

use artifacts::Label;
use artifacts::schema::Confusion;
use maud::{Markup, html};

use crate::figure::Figure;
use crate::format_number::{count, per_hundred, ratio, share};
use crate::plot::{Anchor, Colour, Legend, circle, rect, text};
use crate::table::Table;

const SIZE: (f64, f64) = (480.0, 268.0);
/// The distance between marks.
const PITCH: f64 = 20.0;
/// The size of a mark.
const MARK: f64 = 14.0;
const TOP: f64 = 30.0;

/// Draws both grids. Returns `None` unless there are images of both classes.
pub(crate) fn draw(confusion: &Confusion) -> Option<Figure> {
    let reals = confusion.true_negative + confusion.false_positive;
    let fakes = confusion.true_positive + confusion.false_negative;
    let accused = ratio(confusion.false_positive, reals)?;
    let missed = ratio(confusion.false_negative, fakes)?;
    let mut numbers = Table::new(&["truth", "images", "wrong", "share_wrong"]);
    numbers.push(["real".into(), reals.into(), confusion.false_positive.into(), accused.into()]);
    numbers.push(["fake".into(), fakes.into(), confusion.false_negative.into(), missed.into()]);
    let grids = [
        (
            14.0,
            Label::Real,
            ["real image", "real images"],
            (confusion.false_positive, reals),
            "called fake (false alarms)",
        ),
        (266.0, Label::Fake, ["fake", "fakes"], (confusion.false_negative, fakes), "called real (missed fakes)"),
    ];
    let body = html! {
        @for (left, truth, [one, several], (wrong, images), consequence) in grids {
            @let Marks { all, wrong, number } = Marks::of(wrong, images);
            @let heading = match images {
                1 => format!("1 {one}"),
                2..100 => format!("{images} {several}"),
                _ => format!("Of 100 {several}"),
            };
            (text((left, 16.0), Anchor::Start, Colour::Text, 14.0, true, &heading))
            (grid(left, truth, all, wrong))
            (text((left, TOP + 10.0 * PITCH + 20.0), Anchor::Start, Colour::Text, 13.0, false,
                &format!("{number} {consequence}")))
        }
    };
    Some(Figure {
        name: "outcomes".into(),
        title: "Correct and wrong verdicts per 100 images".to_owned(),
        description: format!(
            "{} of {} real images were called fake ({}), and {} of {} fakes were called real ({}).",
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
        legend: Legend::default(),
        hover: Vec::new(),
        numbers,
    })
}

/// The marks of a grid.
struct Marks {
    all: u32,
    wrong: u32,
    /// The number of wrong ones as text.
    number: String,
}

impl Marks {
    /// Marks for `wrong` of at least one image.
    fn of(wrong: u64, images: u64) -> Marks {
        match (u32::try_from(images), u32::try_from(wrong)) {
            (Ok(all), Ok(wrong)) if all < 100 => Marks { all, wrong, number: wrong.to_string() },
            _ => {
                let share = wrong as f64 / images as f64;
                Marks { all: 100, wrong: wrong_marks(share), number: per_hundred(share) }
            }
        }
    }
}

/// Draws the marks: a circle for each image called real, a square for each image called fake. Wrong verdicts are
/// last.
fn grid(left: f64, truth: Label, all: u32, wrong: u32) -> Markup {
    html! {
        @for i in 0..all {
            @let correct = i < all - wrong;
            @let called = if correct { truth } else { other(truth) };
            @let corner = (left + f64::from(i % 10) * PITCH, TOP + f64::from(i / 10) * PITCH);
            @match called {
                Label::Real => (circle((corner.0 + MARK / 2.0, corner.1 + MARK / 2.0), MARK / 2.0 + 0.5, Colour::Real)),
                Label::Fake => (rect(corner, (MARK, MARK), Colour::Fake, 1.0)),
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

/// Converts a share to a number of marks. A share above 0 gives at least one mark, and one below 1 at most 99.
fn wrong_marks(share: f64) -> u32 {
    let rounded = (100.0 * share).round() as u32;
    if share > 0.0 && share < 1.0 { rounded.clamp(1, 99) } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_errors_have_at_least_one_mark() {
        assert_eq!([0.0, 0.001, 0.126, 0.999, 1.0].map(wrong_marks), [0, 1, 13, 99, 100]);
    }

    #[test]
    fn number_of_marks_is_the_number_beside_them() {
        for hits in 0..=200 {
            let share = f64::from(hits) / 200.0;
            let (marks, text) = (wrong_marks(share), per_hundred(share));
            let agrees = match text.as_str() {
                "fewer than 1" => marks == 1,
                "more than 99" => marks == 99,
                number => number == marks.to_string(),
            };
            assert!(agrees, "{hits} of 200: {marks} marks, but {text}");
        }
    }

    #[test]
    fn few_images_have_a_mark_each() {
        let marks = |wrong, images| {
            let Marks { all, wrong, number } = Marks::of(wrong, images);
            (all, wrong, number)
        };
        assert_eq!(marks(3, 4), (4, 3, "3".to_owned()));
        assert_eq!(marks(1, 99), (99, 1, "1".to_owned()));
        assert_eq!(marks(1, 200), (100, 1, "fewer than 1".to_owned()));
    }

    #[test]
    fn is_not_drawn_if_a_class_has_no_images() {
        assert!(draw(&Confusion { true_positive: 3, ..Confusion::default() }).is_none());
    }
}
