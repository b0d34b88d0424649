//! A figure. It is drawn once as SVG, embedded in the page and written to files.

use std::borrow::Cow;

use maud::{Markup, html};
use serde_json::json;

use crate::plot::{Anchor, Colour, Legend, Panel, rect, text};
use crate::table::Table;

/// Fonts that are available in browsers, drawing programs and presentation programs.
const FONTS: &str = "Inter, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif";
/// The maximum number of points of one curve that show a tooltip. A pointer cannot distinguish more.
const MAX_HOVER_POINTS: usize = 160;

/// A drawing with its texts and numbers.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Identifies the figure in the page, and is the stem of its file names.
    pub(crate) name: Cow<'static, str>,
    /// The heading.
    pub(crate) title: String,
    /// Describes what the figure shows. It is the caption, and the description for screen readers.
    pub(crate) description: String,
    /// Width and height in pixels, without the legend.
    pub(crate) size: (f64, f64),
    /// The rectangle of the data, if the page's script moves a marker in it.
    pub(crate) panel: Option<Panel>,
    /// The SVG elements, except those of the legend.
    pub(crate) body: Markup,
    /// The names of the series. They are below the chart, where no curve can be.
    pub(crate) legend: Legend,
    /// Points that show a tooltip in the page.
    pub(crate) hover: Vec<HoverPoint>,
    /// The numbers drawn.
    pub(crate) numbers: Table,
}

/// A point of a figure, in pixels, with its tooltip.
#[derive(Clone, Debug)]
pub(crate) struct HoverPoint {
    pub(crate) at: (f64, f64),
    pub(crate) tooltip: String,
}

impl Figure {
    /// Returns the figure as an element of the page, in the colours of the reader's theme. The page must have a caption
    /// with the id `NAME-caption`.
    pub(crate) fn inline_svg(&self) -> Markup {
        let (width, height) = (self.size.0, self.height());
        html! {
            svg id={ "figure-" (self.name) } class="figure" viewBox={ "0 0 " (width) " " (height) } role="img"
                aria-label=(self.title) aria-describedby={ (self.name) "-caption" }
                data-panel=[self.panel.map(|p| format!("{} {} {} {}", p.left, p.top, p.width, p.height))]
                data-hover=[self.hover_json()] {
                (self.body)
                (self.legend.draw(self.size))
            }
        }
    }

    /// Returns the figure as an SVG file on white, with its heading. `mark` is written beside the heading, such as
    /// "simulated data", because figures are often shown without the report.
    pub(crate) fn svg_document(&self, mark: Option<&str>) -> String {
        const HEADING: f64 = 40.0;
        const MARGIN: f64 = 14.0;
        let (width, height) = (self.size.0, self.height());
        let heading = (MARGIN, -14.0);
        let drawing = html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height + HEADING)
                viewBox={ "0 " (-HEADING) " " (width) " " (height + HEADING) } font-family=(FONTS) role="img" {
                title { (self.title) }
                desc { (self.description) }
                (rect((0.0, -HEADING), (width, height + HEADING), Colour::Background, 1.0))
                (text(heading, Anchor::Start, Colour::Text, 16.0, true, &self.title))
                @if let Some(mark) = mark {
                    (text((width - MARGIN, heading.1), Anchor::End, Colour::Secondary, 12.0, true, mark))
                }
                (self.body)
                (self.legend.draw(self.size))
            }
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", drawing.into_string())
    }

    /// Returns the height in pixels, with the legend.
    fn height(&self) -> f64 {
        self.size.1 + self.legend.height(self.size.0)
    }

    fn hover_json(&self) -> Option<String> {
        if self.hover.is_empty() {
            return None;
        }
        // A figure with more points than eight full curves keeps only every `step`-th point, to limit the size of the
        // page.
        let step = self.hover.len().div_ceil(MAX_HOVER_POINTS * 8).max(1);
        let points: Vec<_> = self
            .hover
            .iter()
            .step_by(step)
            .map(|point| json!([(point.at.0 * 10.0).round() / 10.0, (point.at.1 * 10.0).round() / 10.0, point.tooltip]))
            .collect();
        Some(serde_json::Value::Array(points).to_string())
    }
}

/// Returns at most [`MAX_HOVER_POINTS`] of a curve's points, evenly spaced in the list, including both ends.
pub(crate) fn subsample<T>(points: &[T]) -> impl Iterator<Item = &T> {
    let last = points.len().saturating_sub(1);
    let count = points.len().min(MAX_HOVER_POINTS);
    (0..count).map(move |i| &points[if count < 2 { 0 } else { i * last / (count - 1) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsample_keeps_both_ends() {
        let points: Vec<usize> = (0..1000).collect();
        let kept: Vec<usize> = subsample(&points).copied().collect();
        assert_eq!((kept.len(), kept[0], kept[kept.len() - 1]), (MAX_HOVER_POINTS, 0, 999));
        assert_eq!(subsample(&[7]).count(), 1);
        assert_eq!(subsample::<u8>(&[]).count(), 0);
    }

    #[test]
    fn svg_document_is_escaped_and_marks_simulated_data() {
        let figure = Figure {
            name: "x".into(),
            title: "<script> & \"quotes\"".to_owned(),
            description: String::new(),
            size: (10.0, 10.0),
            panel: None,
            body: html! {},
            legend: Legend::default(),
            hover: Vec::new(),
            numbers: Table::default(),
        };
        let text = figure.svg_document(Some("simulated data"));
        assert!(text.contains("simulated data") && !figure.svg_document(None).contains("simulated data"));
        assert!(
            text.starts_with("<?xml") && text.contains("&lt;script&gt; &amp;") && !text.contains("<script"),
            "{text}"
        );
    }
}
