//! The page: one file, complete in itself, that asks nothing of the network.

mod audit;
mod data;
mod examples;
mod further;
mod gallery;
mod groups;
mod heat_maps;
mod opening;
mod pictures;
mod provenance;
mod results;
mod robustness;
pub(crate) mod shell;
mod threshold;
mod training;
pub(crate) mod widgets;

use maud::{Markup, html};

use crate::answer::{answer, dataset};
use crate::config::Config;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::figures::Figures;
use crate::text::visible;
use pictures::Pictures;
use shell::Page;
use widgets::Section;

/// The whole page.
pub(crate) fn render(evidence: &Evidence, config: &Config, figures: &Figures) -> Result<String, Error> {
    let pictures = Pictures::choose(&evidence.evaluation, config)?;
    let answer = answer(evidence);
    let sections: Vec<Section> = [
        Some(results::section(evidence, config)),
        Some(threshold::section(evidence, figures)),
        examples::section(&pictures),
        gallery::section(evidence, &pictures),
        heat_maps::section(&pictures),
        results::reliability(evidence, figures),
        groups::section(evidence, figures),
        robustness::section(evidence, figures),
        further::section(evidence),
        audit::section(evidence, figures),
        data::section(evidence),
        training::section(evidence, figures),
        Some(provenance::section(evidence)),
    ]
    .into_iter()
    .flatten()
    .collect();
    Ok(shell::document(&Page {
        title: &title(evidence, config),
        about: about(evidence),
        opening: opening::render(evidence, &answer, figures),
        sections: &sections,
        version: &evidence.evaluation.manifest.code.program,
    }))
}

fn about(evidence: &Evidence) -> Markup {
    let metrics = &evidence.evaluation.metrics;
    html! {
        @if metrics.simulated { span.badge { "simulated data" } " " }
        span { (dataset(metrics)) }
        span { (metrics.split) " split" }
        span { "checkpoint " (visible(&metrics.checkpoint)) }
        span { "run " (visible(&evidence.run)) }
    }
}

/// The report's heading.
pub(crate) fn title(evidence: &Evidence, config: &Config) -> String {
    match config.title.as_deref().map(str::trim).filter(|title| !title.is_empty()) {
        Some(title) => visible(title),
        None => format!("Real or generated: {}", visible(&evidence.run)),
    }
}
