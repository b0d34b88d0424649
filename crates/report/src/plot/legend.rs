//! The legend of a chart: its series with their names, in rows below the chart.

use maud::{Markup, html};

use super::svg::{Anchor, Stroke, line, rect, text};
use super::theme::Colour;

/// The x coordinate of the first entry, near the left edge of the charts' panels.
const LEFT: f64 = 40.0;
/// The space right of the last entry of a row.
const RIGHT_MARGIN: f64 = 10.0;
const ROW_HEIGHT: f64 = 20.0;
const FONT_SIZE: f64 = 13.0;
/// The width of a sample with the space before its text.
const SAMPLE_WIDTH: f64 = 32.0;
const LINE_LENGTH: f64 = 24.0;
const SWATCH_SIZE: f64 = 12.0;
/// The space between two entries of a row.
const GAP: f64 = 22.0;
/// The width of an average character relative to the font size. Bold text of the widest usual fonts is narrower.
const CHARACTER_WIDTH: f64 = 0.64;

/// The names of the series of a chart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Legend {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    sample: Sample,
    name: String,
}

/// What a series looks like in the chart.
#[derive(Clone, Copy, Debug)]
enum Sample {
    Line(Stroke),
    Area(Colour),
}

impl Legend {
    /// Adds a series that is drawn as a line.
    pub(crate) fn line(self, stroke: Stroke, name: impl Into<String>) -> Legend {
        self.with(Sample::Line(stroke), name.into())
    }

    /// Adds a series that is drawn as a filled area.
    pub(crate) fn area(self, colour: Colour, name: impl Into<String>) -> Legend {
        self.with(Sample::Area(colour), name.into())
    }

    fn with(mut self, sample: Sample, name: String) -> Legend {
        self.entries.push(Entry { sample, name });
        self
    }

    /// Returns the height of the legend below a chart of the given width. It is 0 without entries.
    pub(crate) fn height(&self, width: f64) -> f64 {
        self.places(width).last().map_or(0.0, |(_, y)| y + ROW_HEIGHT)
    }

    /// Draws the legend below a chart of the given size.
    pub(crate) fn draw(&self, (width, height): (f64, f64)) -> Markup {
        html! {
            @if !self.entries.is_empty() {
                g class="legend" {
                    @for (entry, (x, y)) in self.entries.iter().zip(self.places(width)) {
                        (entry.draw((x, height + y)))
                    }
                }
            }
        }
    }

    /// Returns the upper left corner of each entry, relative to the top of the legend. A row ends where the next entry
    /// would be outside the chart.
    fn places(&self, width: f64) -> Vec<(f64, f64)> {
        let (mut x, mut y) = (LEFT, 0.0);
        let mut places = Vec::new();
        for entry in &self.entries {
            if x > LEFT && x + entry.width() > width - RIGHT_MARGIN {
                (x, y) = (LEFT, y + ROW_HEIGHT);
            }
            places.push((x, y));
            x += entry.width() + GAP;
        }
        places
    }
}

impl Entry {
    fn width(&self) -> f64 {
        SAMPLE_WIDTH + CHARACTER_WIDTH * FONT_SIZE * self.name.chars().count() as f64
    }

    fn draw(&self, (x, y): (f64, f64)) -> Markup {
        let middle = y + ROW_HEIGHT / 2.0;
        html! {
            @match self.sample {
                Sample::Line(stroke) => (line((x, middle), (x + LINE_LENGTH, middle), stroke)),
                Sample::Area(colour) => {
                    (rect((x + (LINE_LENGTH - SWATCH_SIZE) / 2.0, middle - SWATCH_SIZE / 2.0),
                        (SWATCH_SIZE, SWATCH_SIZE), colour, 0.55))
                }
            }
            (text((x + SAMPLE_WIDTH, middle + 4.5), Anchor::Start, Colour::Text, FONT_SIZE, false, &self.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legend(names: &[&str]) -> Legend {
        names.iter().fold(Legend::default(), |legend, name| legend.line(Stroke::solid(Colour::Primary, 2.0), *name))
    }

    #[test]
    fn starts_a_row_when_an_entry_does_not_fit() {
        let places = legend(&["training", "validation", "the two other runs"]).places(340.0);
        assert_eq!(places.iter().map(|place| place.1).collect::<Vec<_>>(), [0.0, 0.0, ROW_HEIGHT]);
        assert_eq!((places[0].0, places[2].0), (LEFT, LEFT));
        assert_eq!(legend(&["a name that is longer than the chart is wide"]).places(100.0), [(LEFT, 0.0)]);
    }

    #[test]
    fn is_below_the_chart() {
        let two = legend(&["a", "b"]);
        let svg = two.draw((340.0, 300.0)).into_string();
        let coordinates = ["y=\"", "y1=\"", "y2=\""].into_iter().flat_map(|start| svg.split(start).skip(1));
        let ys: Vec<f64> =
            coordinates.filter_map(|rest| rest.split_once('"')).map(|(y, _)| y.parse().unwrap()).collect();
        assert!(ys.len() >= 6 && ys.iter().all(|y| (300.0..300.0 + two.height(340.0)).contains(y)), "{ys:?}");
        assert_eq!((legend(&[]).height(340.0), legend(&[]).draw((340.0, 300.0)).into_string()), (0.0, String::new()));
    }
}
