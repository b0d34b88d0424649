//! Calibration: whether P(fake) can be read as a probability, and which scores should be reported as inconclusive.

use artifacts::schema::RunMetrics;
use maud::{Markup, html};

use crate::figures::Figures;
use crate::format_number::{compact, percent};
use crate::html::figure::figure;
use crate::html::section::Section;
use crate::run_results::RunResults;

/// Renders the reliability diagram and the inconclusive band. Returns `None` if there is no diagram.
pub(crate) fn section(results: &RunResults, figures: &Figures) -> Option<Section> {
    let drawn = figures.reliability.as_ref()?;
    let run = results.evaluation.metrics.runs.first()?;
    let lead =
        "P(fake) can be read as a probability if, for example, 80 of 100 images with a P(fake) of 0.8 are fakes.";
    let body = html! {
        div.columns {
            (figure(drawn))
            (inconclusive_band(run))
        }
    };
    Some(Section { id: "reliability", title: "Calibration", lead: lead.to_owned(), body })
}

fn inconclusive_band(run: &RunMetrics) -> Markup {
    let Some(fitted) = &run.fitted else {
        return html! {
            p.note { "The scores are not calibrated, because that requires validation images of both classes." }
        };
    };
    let band = &fitted.inconclusive;
    html! {
        div.aside {
            h3 { "When is a result inconclusive?" }
            p {
                "If the calibrated P(fake) lies between " strong { (compact(band.low, 3)) } " and "
                strong { (compact(band.high, 3)) } ", the result should be reported as inconclusive. These limits were chosen \
                on the validation split."
            }
            dl.facts {
                div { dt { "Inconclusive images" } dd { (percent(band.share)) } }
                div { dt { "Real images still called fake" } dd { (percent(band.false_accusations)) } }
                div { dt { "Fakes still called real" } dd { (percent(band.misses)) } }
            }
        }
    }
}
