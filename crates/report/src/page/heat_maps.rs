//! Where the network looked: pairs of an image and its heat map.

use artifacts::schema::{Example, SanityCheck};
use maud::{Markup, html};

use super::pictures::Pictures;
use super::widgets::{Section, caption};
use crate::number::{probability, score};
use crate::picture::Picture;
use crate::text::{file_name, visible};

/// Grad-CAM of the examples; nothing where there are no heat maps.
pub(crate) fn section(pictures: &Pictures) -> Option<Section> {
    if pictures.explained.is_empty() {
        return None;
    }
    let layer = visible(&pictures.layer);
    let lead = format!(
        "Grad-CAM at {layer}: how much each place adds to the evidence for a class. It shows where the network looked, \
         not what it saw there, and it is coarse."
    );
    let body = html! {
        @if let Some(legend) = &pictures.legend { (colours(legend)) }
        ul.pairs { @for shown in &pictures.explained { li { (pair(shown, pictures)) } } }
        @if let Some(sanity) = &pictures.sanity { (check(sanity)) }
    };
    Some(Section { id: "heat-maps", title: "Where it looked", lead, body })
}

fn colours(legend: &Picture) -> Markup {
    html! {
        p.legend {
            span { "no evidence" }
            img src=(legend.address) alt="colour scale from no evidence to the map's strongest" {}
            span { "strongest of the map" }
        }
    }
}

fn pair(shown: &Example, pictures: &Pictures) -> Markup {
    let name = file_name(&shown.path);
    html! {
        figure.pair {
            div.images {
                @if let Some(image) = pictures.get(&shown.image) {
                    figure {
                        img src=(image.address) width=(image.width) height=(image.height) loading="lazy" decoding="async"
                            alt={ "what the network saw of " (name) } {}
                        figcaption { "image" }
                    }
                }
                @for map in &shown.heat_maps {
                    @if let Some(overlay) = pictures.get(&map.overlay) {
                        figure {
                            img src=(overlay.address) width=(overlay.width) height=(overlay.height) loading="lazy"
                                decoding="async" alt={
                                    "Grad-CAM for " (map.class) " on " (name) ", P(fake) " (probability(shown.p_fake))
                                } {}
                            figcaption {
                                "for " (map.class)
                                @if map.class == shown.predicted { " (predicted)" }
                                @if map.peak == 0.0 { ": nothing speaks for it" }
                            }
                        }
                    }
                }
            }
            figcaption { (caption(shown)) }
        }
    }
}

fn check(sanity: &SanityCheck) -> Markup {
    let compared = format!(
        "against a network with random weights, {} maps have a mean absolute rank correlation of {} (Adebayo et al. 2018)",
        sanity.maps,
        score(sanity.mean_rank_correlation)
    );
    let result = match sanity.passed {
        Some(true) => format!("The maps depend on what was learnt: {compared}."),
        Some(false) => {
            format!("The maps hardly depend on what was learnt, so do not read them as explanations: {compared}.")
        }
        None => "Whether the maps depend on what was learnt could not be found out: they are flat.".to_owned(),
    };
    html! { p.note { strong { "Sanity check. " } (result) } }
}
