//! Example images beside their heat maps: Grad-CAM, or the evidence of the branches of a detector.

use artifacts::schema::{Example, Explanations, HeatMap, SanityCheck, Spectrum};
use maud::{Markup, html};

use super::selected_examples::SelectedExamples;
use crate::embedded_image::EmbeddedImage;
use crate::escape::{file_name, visible};
use crate::format_number::{probability, score};
use crate::html::example::example_caption;
use crate::html::image::lazy_image;
use crate::html::section::Section;

/// The largest number of peaks that the caption of a spectrum lists.
const LISTED_PEAKS: usize = 3;

/// Renders the examples with heat maps. Returns `None` if there are none.
pub(crate) fn section(examples: &SelectedExamples) -> Option<Section> {
    if examples.with_heat_maps.is_empty() {
        return None;
    }
    let lead = if examples.heat_map_layer == Explanations::EVIDENCE_OF_BRANCHES {
        "What each region of the image adds to the score of a branch, for either class. The map of vit shows activations \
         times gradients, that of patches the scores of windows at native resolution times their attention. Each map is \
         scaled to its own maximum. The maps show which regions a branch used, but not why."
            .to_owned()
    } else {
        let layer = visible(&examples.heat_map_layer);
        format!(
            "Grad-CAM at {layer}: how much each region of the image contributes to the score of a class. The maps are coarse. \
             They show which regions the network used, but not why."
        )
    };
    let body = html! {
        @if let Some(scale) = &examples.colour_scale { (colour_scale(scale)) }
        ul.pairs { @for shown in &examples.with_heat_maps { li { (image_with_maps(shown, examples)) } } }
        @if let Some(check) = &examples.sanity_check { (sanity_check(check)) }
    };
    Some(Section { id: "heat-maps", title: "Heat maps", lead, body })
}

fn colour_scale(scale: &EmbeddedImage) -> Markup {
    html! {
        p.legend {
            span { "no contribution" }
            img src=(scale.data_url) alt="colour scale from no contribution to the strongest contribution in the map" {}
            span { "strongest contribution in the map" }
        }
    }
}

fn image_with_maps(shown: &Example, examples: &SelectedExamples) -> Markup {
    let name = file_name(&shown.path);
    html! {
        figure.pair {
            div.images {
                @if let Some(image) = examples.image(&shown.image) {
                    figure {
                        (lazy_image(image, &format!("the network's input for {name}")))
                        figcaption { "image" }
                    }
                }
                @for map in &shown.heat_maps {
                    @if let Some(overlay) = examples.image(&map.overlay) { (heat_map(map, overlay, shown)) }
                }
                @if let Some(spectrum) = &shown.spectrum {
                    @if let Some(image) = examples.image(&spectrum.image) { (spectrum_figure(spectrum, image, &name)) }
                }
            }
            figcaption { (example_caption(shown)) }
        }
    }
}

fn heat_map(map: &HeatMap, overlay: &EmbeddedImage, shown: &Example) -> Markup {
    let name = file_name(&shown.path);
    let method = map.branch.as_deref().map_or_else(|| "Grad-CAM".to_owned(), |branch| format!("evidence of {branch}"));
    let alt = format!("{method} for {} on {name}, P(fake) {}", map.class, probability(shown.p_fake));
    html! {
        figure {
            (lazy_image(overlay, &alt))
            figcaption {
                @if let Some(branch) = &map.branch { (branch) ", " }
                "for " (map.class)
                @if map.class == shown.predicted { " (predicted)" }
                @if map.peak == 0.0 { ": no region contributes" }
            }
        }
    }
}

fn spectrum_figure(spectrum: &Spectrum, image: &EmbeddedImage, name: &str) -> Markup {
    let listed = spectrum.peaks.iter().take(LISTED_PEAKS);
    let listed: Vec<String> =
        listed.map(|peak| format!("{:.1} pixels ({:.0} dB)", peak.period, peak.decibels)).collect();
    html! {
        figure {
            (lazy_image(image, &format!("spectrum of the residual of {name}")))
            figcaption {
                "spectrum of the residual, "
                @if listed.is_empty() { "no peaks" } @else { "peaks at periods of " (listed.join(", ")) }
            }
        }
    }
}

fn sanity_check(check: &SanityCheck) -> Markup {
    let compared = format!(
        "compared with the maps of a model with random weights, {} maps have a mean absolute rank correlation of {} \
         (Adebayo et al. 2018)",
        check.maps,
        score(check.mean_rank_correlation)
    );
    let result = match check.passed {
        Some(true) => format!("The maps depend on the learned weights: {compared}."),
        Some(false) => {
            format!("The maps hardly depend on the learned weights, so do not use them as explanations: {compared}.")
        }
        None => "The maps are constant, so whether they depend on the learned weights is unknown.".to_owned(),
    };
    html! { p.note { strong { "Sanity check. " } (result) } }
}
