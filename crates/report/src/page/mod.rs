//! The report of a run as one HTML page that loads nothing from the network. Each module renders one section.

mod audit;
mod branches;
mod calibration;
mod correct_examples;
mod dataset;
mod duplicates;
mod error_gallery;
mod heat_maps;
mod other_evaluations;
mod predictions;
mod provenance;
mod robustness;
mod scores;
mod scores_by_group;
mod selected_examples;
mod summary;
mod threshold;
mod training;

use artifacts::names::PAGE;
use maud::{Markup, html};

use crate::config::Config;
use crate::error::Error;
use crate::escape::visible;
use crate::figures::Figures;
use crate::html::layout::{self, Page};
use crate::html::section::Section;
use crate::run_results::RunResults;
use crate::summary::{evaluated_dataset, report_title};
use selected_examples::SelectedExamples;

/// Renders the page.
pub(crate) fn render(results: &RunResults, config: &Config, figures: &Figures) -> Result<String, Error> {
    let examples = SelectedExamples::select(&results.evaluation, config)?;
    let sections: Vec<Section> = [
        Some(scores::section(results, config)),
        predictions::section(results),
        Some(threshold::section(results, figures)),
        correct_examples::section(&examples),
        error_gallery::section(results, &examples),
        heat_maps::section(&examples),
        calibration::section(results, figures),
        scores_by_group::section(results, figures),
        branches::section(results),
        robustness::section(results, figures),
        other_evaluations::section(results),
        audit::section(results, figures),
        dataset::section(results),
        training::section(results, figures),
        Some(provenance::section(results)),
    ]
    .into_iter()
    .flatten()
    .collect();
    Ok(layout::document(&Page {
        title: &report_title(results, config),
        subtitle: subtitle(results),
        summary: summary::render(results, figures),
        sections: &sections,
        version: &results.evaluation.manifest.code.program,
    }))
}

fn subtitle(results: &RunResults) -> Markup {
    let metrics = &results.evaluation.metrics;
    html! {
        @if metrics.simulated { span.badge { "simulated data" } " " }
        span { (evaluated_dataset(metrics)) }
        span { (metrics.split) " split" }
        @if metrics.judged.is_some() {
            span { (visible(&metrics.checkpoint)) }
        } @else {
            span { "checkpoint " (visible(&metrics.checkpoint)) }
        }
        span { "run " (visible(&results.run)) }
        @if results.is_named { a href={ "../" (PAGE) } { "report of the run" } }
    }
}
