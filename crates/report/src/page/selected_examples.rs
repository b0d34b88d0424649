//! Selects the example images that the page shows and embeds them.

use std::collections::BTreeMap;

use artifacts::Label;
use artifacts::schema::{Example, ExampleKind, SanityCheck};

use crate::config::Config;
use crate::embedded_image::{self, EmbeddedImage};
use crate::error::Error;
use crate::run_results::EvaluationResults;

/// The selected examples, in the order in which they are shown.
#[derive(Debug, Default)]
pub(crate) struct SelectedExamples {
    /// Real images called real.
    pub(crate) correct_real: Vec<Example>,
    /// Fakes called fake.
    pub(crate) correct_fake: Vec<Example>,
    /// Wrong and uncertain predictions by kind.
    pub(crate) gallery: BTreeMap<ExampleKind, Vec<Example>>,
    /// Examples with heat maps.
    pub(crate) with_heat_maps: Vec<Example>,
    /// The layer from which the heat maps were computed.
    pub(crate) heat_map_layer: String,
    /// The colour scale of the heat maps, from weak to strong.
    pub(crate) colour_scale: Option<EmbeddedImage>,
    /// The sanity check of the heat maps.
    pub(crate) sanity_check: Option<SanityCheck>,
    images: BTreeMap<String, EmbeddedImage>,
}

/// The kinds of the error gallery, most serious first.
pub(crate) const GALLERY_KINDS: [ExampleKind; 3] =
    [ExampleKind::FalsePositive, ExampleKind::FalseNegative, ExampleKind::Uncertain];

impl SelectedExamples {
    /// Selects as many examples as the configuration allows, and embeds their images.
    pub(crate) fn select(evaluation: &EvaluationResults, config: &Config) -> Result<SelectedExamples, Error> {
        let Some(explanations) = &evaluation.explanations else { return Ok(SelectedExamples::default()) };
        let of_kind = |kind: ExampleKind| explanations.examples.iter().filter(move |example| example.kind == kind);
        let correct = |label: Label| of_kind(ExampleKind::Correct).filter(move |example| example.label == label);
        let correct_with_maps =
            Label::ALL.into_iter().flat_map(|label| correct(label).take(config.heat_maps.div_ceil(2)));
        let errors_with_maps = GALLERY_KINDS.into_iter().flat_map(|kind| of_kind(kind).take(config.heat_maps));
        let with_heat_maps =
            correct_with_maps.chain(errors_with_maps).filter(|example| example.explanation_files().next().is_some());
        let gallery = GALLERY_KINDS.map(|kind| (kind, of_kind(kind).take(config.gallery).cloned().collect()));
        let mut examples = SelectedExamples {
            correct_real: correct(Label::Real).take(config.correct).cloned().collect(),
            correct_fake: correct(Label::Fake).take(config.correct).cloned().collect(),
            gallery: BTreeMap::from(gallery),
            with_heat_maps: with_heat_maps.cloned().collect(),
            heat_map_layer: explanations.layer.clone(),
            colour_scale: None,
            sanity_check: explanations.sanity.clone(),
            images: BTreeMap::new(),
        };
        for name in examples.image_names() {
            examples.images.insert(name.clone(), embed(evaluation, &name)?);
        }
        if let Some(legend) = &explanations.legend {
            examples.colour_scale = Some(embed(evaluation, legend)?);
        }
        Ok(examples)
    }

    /// Returns an image of a selected example by its file name.
    pub(crate) fn image(&self, name: &str) -> Option<&EmbeddedImage> {
        self.images.get(name)
    }

    fn image_names(&self) -> Vec<String> {
        let shown = self.correct_real.iter().chain(&self.correct_fake).chain(self.gallery.values().flatten());
        let images = shown.chain(&self.with_heat_maps).map(|example| example.image.clone());
        let maps = self.with_heat_maps.iter().flat_map(|example| example.explanation_files().cloned());
        images.chain(maps).collect()
    }
}

fn embed(evaluation: &EvaluationResults, name: &str) -> Result<EmbeddedImage, Error> {
    let png = evaluation.example_pngs.get(name).ok_or_else(|| Error::OutsideEvaluation { path: name.to_owned() })?;
    embedded_image::from_png(name, png)
}
