//! Example images beside their heat maps: Grad-CAM, or the attention rollout of a vision transformer.

use artifacts::schema::{Example, Explanations, SanityCheck};
use maud::{Markup, html};

use super::selected_examples::SelectedExamples;
use crate::embedded_image::EmbeddedImage;
use crate::escape::{file_name, visible};
use crate::format_number::{probability, score};
use crate::html::example::example_caption;
use crate::html::image::lazy_image;
use crate::html::section::Section;

/// Renders the examples with heat maps. Returns `None` if there are none.
pub(crate) fn section(examples: &SelectedExamples) -> Option<Section> {
    if examples.with_heat_maps.is_empty() {
        return None;
    }
    let lead = if is_rollout(examples) {
        "Attention rollout of the vision transformer: where it looks. The map is the same for both classes, so it does not \
         show what speaks for one of them."
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

fn is_rollout(examples: &SelectedExamples) -> bool {
    examples.heat_map_layer == Explanations::ATTENTION_ROLLOUT
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
                    @if let Some(overlay) = examples.image(&map.overlay) {
                        figure {
                            @if is_rollout(examples) {
                                (lazy_image(overlay, &format!("attention of the transformer on {name}")))
                                figcaption { "attention" }
                            } @else {
                                (lazy_image(overlay, &format!(
                                    "Grad-CAM for {} on {name}, P(fake) {}", map.class, probability(shown.p_fake)
                                )))
                                figcaption {
                                    "for " (map.class)
                                    @if map.class == shown.predicted { " (predicted)" }
                                    @if map.peak == 0.0 { ": no region contributes" }
                                }
                            }
                        }
                    }
                }
            }
            figcaption { (example_caption(shown)) }
        }
    }
}

fn sanity_check(check: &SanityCheck) -> Markup {
    let compared = format!(
        "compared with the maps of a network with random weights, {} maps have a mean absolute rank correlation of {} \
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
