//! Which examples the page shows, with their pictures packed.

use std::collections::BTreeMap;

use artifacts::Label;
use artifacts::schema::{Example, ExampleKind, SanityCheck};

use crate::config::Config;
use crate::error::Error;
use crate::evidence::Evaluation;
use crate::picture::{self, Picture};

/// The chosen examples in the order they are shown.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    /// Correct verdicts on real images.
    pub(crate) correct_real: Vec<Example>,
    /// Correct verdicts on fakes.
    pub(crate) correct_fake: Vec<Example>,
    /// Wrong and uncertain ones by kind.
    pub(crate) gallery: BTreeMap<ExampleKind, Vec<Example>>,
    /// Those with heat maps.
    pub(crate) explained: Vec<Example>,
    /// The layer that the heat maps are of.
    pub(crate) layer: String,
    /// The colours of the heat maps, weak to strong.
    pub(crate) legend: Option<Picture>,
    /// Whether the heat maps depend on what was learnt.
    pub(crate) sanity: Option<SanityCheck>,
    packed: BTreeMap<String, Picture>,
}

/// The kinds of the gallery, the gravest first.
pub(crate) const GALLERY: [ExampleKind; 3] =
    [ExampleKind::FalsePositive, ExampleKind::FalseNegative, ExampleKind::Uncertain];

impl Pictures {
    /// Takes as many examples as the configuration allows, and packs the pictures of those.
    pub(crate) fn choose(evaluation: &Evaluation, config: &Config) -> Result<Pictures, Error> {
        let Some(explanations) = &evaluation.explanations else { return Ok(Pictures::default()) };
        let of_kind = |kind: ExampleKind| explanations.examples.iter().filter(move |example| example.kind == kind);
        let take = |kind, most: usize| of_kind(kind).take(most).cloned().collect::<Vec<_>>();
        let correct = |label: Label| -> Vec<Example> {
            of_kind(ExampleKind::Correct)
                .filter(|example| example.label == label)
                .take(config.correct)
                .cloned()
                .collect()
        };
        let correct_kinds = Label::ALL.iter().flat_map(|label| {
            of_kind(ExampleKind::Correct).filter(|e| e.label == *label).take(config.heat_maps.div_ceil(2))
        });
        let other_kinds = GALLERY.iter().flat_map(|kind| of_kind(*kind).take(config.heat_maps));
        let explained = correct_kinds.chain(other_kinds).filter(|example| !example.heat_maps.is_empty()).cloned();
        let mut pictures = Pictures {
            correct_real: correct(Label::Real),
            correct_fake: correct(Label::Fake),
            gallery: GALLERY.iter().map(|kind| (*kind, take(*kind, config.gallery))).collect(),
            explained: explained.collect(),
            layer: explanations.layer.clone(),
            legend: None,
            sanity: explanations.sanity.clone(),
            packed: BTreeMap::new(),
        };
        for name in pictures.names() {
            pictures.packed.insert(name.clone(), pack(evaluation, &name)?);
        }
        if let Some(legend) = &explanations.legend {
            pictures.legend = Some(pack(evaluation, legend)?);
        }
        Ok(pictures)
    }

    /// The picture of that name; chosen examples have all of theirs.
    pub(crate) fn get(&self, name: &str) -> Option<&Picture> {
        self.packed.get(name)
    }

    fn names(&self) -> Vec<String> {
        let shown = self.correct_real.iter().chain(&self.correct_fake).chain(self.gallery.values().flatten());
        let images = shown.chain(&self.explained).map(|example| example.image.clone());
        let maps = self.explained.iter().flat_map(|example| example.heat_maps.iter().map(|map| map.overlay.clone()));
        images.chain(maps).collect()
    }
}

fn pack(evaluation: &Evaluation, name: &str) -> Result<Picture, Error> {
    let png = evaluation.pictures.get(name).ok_or_else(|| Error::Outside { path: name.to_owned() })?;
    picture::pack(name, png)
}
