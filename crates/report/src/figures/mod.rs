//! The figures of the report: each is drawn once, shown in the page and written as SVG and PNG, with its numbers as CSV
//! beside it.

mod audit;
mod confusion;
mod distribution;
mod errors;
mod flips;
mod groups;
mod outcomes;
mod rates;
mod reliability;
mod robustness;
mod training;

pub(crate) use audit::probes;
pub(crate) use robustness::{name as operation, operation_name};

use maud::{Markup, html};
use serde_json::json;

use crate::evidence::Evidence;
use crate::histogram::Histogram;
use crate::plot::{Anchor, Ink, Panel, rect, text};
use crate::table::Table;

/// The stem of the table of all wrong verdicts, which lies with the figures.
pub(crate) const ERRORS: &str = "errors";

/// Fonts that drawing programs, browsers and presentations have.
const FONTS: &str = "Inter, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif";
/// More points than a pointer can tell apart on one curve.
const HOVER_POINTS: usize = 160;

/// All figures of a report; one is absent where there is nothing to draw.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) outcomes: Option<Figure>,
    pub(crate) distribution: Figure,
    /// The distribution again, for narrow screens; not a figure of its own.
    pub(crate) distribution_narrow: Figure,
    pub(crate) confusion: Figure,
    pub(crate) roc: Option<Figure>,
    pub(crate) precision_recall: Option<Figure>,
    pub(crate) reliability: Option<Figure>,
    pub(crate) generators: Option<Figure>,
    pub(crate) sources: Option<Figure>,
    pub(crate) robustness: Option<Figure>,
    pub(crate) audit: Option<Figure>,
    pub(crate) loss: Option<Figure>,
    pub(crate) accuracy: Option<Figure>,
}

impl Figures {
    /// Draws them.
    pub(crate) fn draw(evidence: &Evidence) -> Figures {
        let metrics = &evidence.evaluation.metrics;
        let histories = evidence.histories();
        let first = metrics.runs.first();
        let histogram = Histogram::of(&evidence.evaluation.predictions);
        let threshold = metrics.headline.threshold;
        Figures {
            outcomes: outcomes::outcomes(&metrics.headline.confusion),
            distribution: distribution::distribution(&histogram, threshold),
            distribution_narrow: distribution::narrow(&histogram, threshold),
            confusion: confusion::confusion(&metrics.headline),
            roc: rates::roc(&metrics.runs),
            precision_recall: rates::precision_recall(&metrics.runs),
            reliability: first.and_then(reliability::reliability),
            generators: first.and_then(|run| groups::groups(&run.generators, "generators", "generator")),
            sources: first.and_then(|run| groups::groups(&run.sources, "sources", "source")),
            robustness: evidence.evaluation.robustness.as_ref().and_then(robustness::robustness),
            audit: evidence.audit().and_then(|found| audit::audit(found, metrics.headline.roc_auc)),
            loss: training::loss(&histories),
            accuracy: training::accuracy(&histories),
        }
    }

    /// Those there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Figure> {
        let optional = [
            &self.outcomes,
            &self.roc,
            &self.precision_recall,
            &self.reliability,
            &self.generators,
            &self.sources,
            &self.robustness,
            &self.audit,
            &self.loss,
            &self.accuracy,
        ];
        [&self.distribution, &self.confusion].into_iter().chain(optional.into_iter().flatten())
    }
}

/// Tables that lie with the figures without being drawn, by the stems of their files.
pub(crate) fn tables(evidence: &Evidence) -> Vec<(&'static str, Table)> {
    let mut tables = vec![(ERRORS, errors::errors(&evidence.evaluation.predictions))];
    if let Some(robustness) = &evidence.evaluation.robustness {
        tables.push(("flips", flips::flips(robustness)));
    }
    if let Some(audit) = evidence.audit() {
        tables.push(("audit-bins", audit::bins(&audit.associations)));
        tables.push(("near-duplicates", audit::near_duplicates(audit)));
    }
    tables
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its name in the page and the stem of its files.
    pub(crate) name: &'static str,
    /// What it shows, as a heading.
    pub(crate) title: String,
    /// What is to be seen in it, for those who do not see it.
    pub(crate) description: String,
    /// Width and height in pixels.
    pub(crate) size: (f64, f64),
    /// Where the data lie in it, if a mark moves over them.
    pub(crate) panel: Option<Panel>,
    /// The drawing.
    pub(crate) body: Markup,
    /// What the page says where the pointer is: pixel and words.
    pub(crate) hover: Vec<HoverPoint>,
    /// The numbers drawn.
    pub(crate) numbers: Table,
}

/// A place in a figure and what is there.
#[derive(Clone, Debug)]
pub(crate) struct HoverPoint {
    pub(crate) at: (f64, f64),
    pub(crate) words: String,
}

impl Figure {
    /// The figure in the page, in its theme. What is to be seen in it stands in a caption called `NAME-caption`.
    pub(crate) fn inline(&self) -> Markup {
        let (width, height) = self.size;
        html! {
            svg id={ "figure-" (self.name) } class="figure" viewBox={ "0 0 " (width) " " (height) } role="img"
                aria-label=(self.title) aria-describedby={ (self.name) "-caption" }
                data-panel=[self.panel.map(|p| format!("{} {} {} {}", p.left, p.top, p.width, p.height))]
                data-hover=[self.hover_json()] {
                (self.body)
            }
        }
    }

    /// The figure as a document of its own, on white paper, with its heading and, at the right, what must not be lost
    /// when it is shown elsewhere: that the data were simulated.
    pub(crate) fn standalone(&self, simulated: bool) -> String {
        const HEADING: f64 = 40.0;
        const MARGIN: f64 = 14.0;
        let (width, height) = self.size;
        let heading = (MARGIN, -14.0);
        let drawing = html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height + HEADING)
                viewBox={ "0 " (-HEADING) " " (width) " " (height + HEADING) } font-family=(FONTS) role="img" {
                title { (self.title) }
                desc { (self.description) }
                (rect((0.0, -HEADING), (width, height + HEADING), Ink::Paper, 1.0))
                (text(heading, Anchor::Start, Ink::Text, 16.0, true, &self.title))
                @if simulated {
                    (text((width - MARGIN, heading.1), Anchor::End, Ink::Second, 12.0, true, "simulated data"))
                }
                (self.body)
            }
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", drawing.into_string())
    }

    fn hover_json(&self) -> Option<String> {
        if self.hover.is_empty() {
            return None;
        }
        let step = self.hover.len().div_ceil(HOVER_POINTS * 8).max(1);
        let points: Vec<_> = self
            .hover
            .iter()
            .step_by(step)
            .map(|point| json!([(point.at.0 * 10.0).round() / 10.0, (point.at.1 * 10.0).round() / 10.0, point.words]))
            .collect();
        Some(serde_json::Value::Array(points).to_string())
    }
}

/// At most [`HOVER_POINTS`] of a curve's points, evenly over its list, its ends included.
pub(crate) fn picked<T>(points: &[T]) -> impl Iterator<Item = &T> {
    let last = points.len().saturating_sub(1);
    let count = points.len().min(HOVER_POINTS);
    (0..count).map(move |i| &points[if count < 2 { 0 } else { i * last / (count - 1) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picked_points_include_both_ends() {
        let points: Vec<usize> = (0..1000).collect();
        let picks: Vec<usize> = picked(&points).copied().collect();
        assert_eq!((picks.len(), picks[0], picks[picks.len() - 1]), (HOVER_POINTS, 0, 999));
        assert_eq!(picked(&[7]).count(), 1);
        assert_eq!(picked::<u8>(&[]).count(), 0);
    }

    #[test]
    fn a_standalone_figure_is_escaped_and_complete() {
        let figure = Figure {
            name: "x",
            title: "<script> & \"quotes\"".to_owned(),
            description: String::new(),
            size: (10.0, 10.0),
            panel: None,
            body: html! {},
            hover: Vec::new(),
            numbers: Table::default(),
        };
        let text = figure.standalone(true);
        assert!(text.contains("simulated data") && !figure.standalone(false).contains("simulated data"));
        assert!(
            text.starts_with("<?xml") && text.contains("&lt;script&gt; &amp;") && !text.contains("<script"),
            "{text}"
        );
    }
}
