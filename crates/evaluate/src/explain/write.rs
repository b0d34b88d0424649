//! Writes the folder `explanations/`.

use std::path::Path;

use artifacts::predictions::Prediction;
use artifacts::schema::{Example, Explanations, HeatMap, SanityCheck};
use artifacts::shard::Shards;
use artifacts::{Label, atomic, names};

use super::branches::{branch_evidence, decode};
use super::evidence::{Evidence, Picture, both_classes, peak, stored_image, write_png};
use super::{Choice, choose, legend, overlay, sanity_check};
use crate::Error;
use crate::config::Config;
use crate::detector::Detector;

/// File name of the legend.
const LEGEND: &str = "legend.png";
/// Number of examples whose heat maps the sanity check compares.
const SANITY_EXAMPLES: usize = 8;

/// Chooses examples and writes them with heat maps for both classes, the predicted class first. `predictions` has one
/// entry for each image of the shards, in their order.
///
/// # Errors
/// Errors of the network and of writing.
pub fn write(
    dir: &Path,
    detector: &mut Detector,
    shards: &Shards,
    predictions: &[Prediction],
    config: &Config,
) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(artifacts::Error::io("create", dir))?;
    let mut examples = Vec::new();
    let mut explained = Vec::new();
    for (index, choice) in choose(predictions, config.examples).into_iter().enumerate() {
        let prediction = &predictions[choice.row];
        let picture = Picture {
            pixels: shards.pixels(choice.row),
            size: shards.size(),
            file: shards.file(choice.row).unwrap_or_default(),
            path: &prediction.path,
            stem: stem(index, choice),
        };
        let image = write_stored(dir, &picture)?;
        let evidence = if detector.branch_detector().is_some() {
            branch_evidence(dir, detector, &picture, prediction.predicted)?
        } else {
            grad_cam(dir, detector, &picture, prediction.predicted, config)?
        };
        let (heat_maps, spectrum) = (evidence.heat_maps, evidence.spectrum);
        examples.push(Example { heat_maps, spectrum, ..Example::new(choice.kind, prediction, image) });
        explained.push(Explained { picture, class: prediction.predicted, maps: evidence.own });
    }
    let sanity = check_sample(detector, explained, config)?;
    write_legend(dir)?;
    let index = Explanations {
        schema_version: Explanations::SCHEMA_VERSION,
        layer: if detector.branch_detector().is_some() {
            Explanations::EVIDENCE_OF_BRANCHES.to_owned()
        } else {
            config.layer.clone()
        },
        legend: Some(LEGEND.to_owned()),
        sanity,
        examples,
    };
    Ok(atomic::write_json(&dir.join(names::EXPLANATIONS_INDEX), &index)?)
}

/// Writes `legend.png`: the colours of heat maps from 0 at the left to the maximum of a map at the right.
///
/// # Errors
/// Errors of writing.
pub fn write_legend(dir: &Path) -> Result<(), Error> {
    write_png(dir, LEGEND, &legend())
}

/// An image with the maps that explain its verdict.
struct Explained<'a> {
    picture: Picture<'a>,
    class: Label,
    maps: Vec<model::HeatMap>,
}

fn stem(index: usize, choice: Choice) -> String {
    format!("{index:03}-{}", choice.kind.word())
}

/// Writes the Grad-CAM heat maps of one image for both classes.
fn grad_cam(
    dir: &Path,
    detector: &mut Detector,
    picture: &Picture<'_>,
    predicted: Label,
    config: &Config,
) -> Result<Evidence, Error> {
    let classes = both_classes(predicted);
    // One copy for each class.
    let copies = [picture.pixels, picture.pixels].concat();
    let maps = detector.heat_maps(&copies, &classes, &config.layer)?;
    let mut heat_maps = Vec::new();
    for (class, map) in classes.into_iter().zip(&maps) {
        let name = format!("{}-{class}.png", picture.stem);
        write_png(dir, &name, &overlay(picture.pixels, picture.size, map))?;
        heat_maps.push(HeatMap { branch: None, class, peak: peak(map), overlay: name });
    }
    Ok(Evidence { heat_maps, spectrum: None, own: maps.into_iter().take(1).collect() })
}

/// Writes the stored pixels of an example. Returns the name of the file.
fn write_stored(dir: &Path, picture: &Picture<'_>) -> Result<String, Error> {
    let image = format!("{}.png", picture.stem);
    write_png(dir, &image, &stored_image(picture.pixels, picture.size))?;
    Ok(image)
}

/// Compares the maps of at most [`SANITY_EXAMPLES`] examples with those of random weights.
fn check_sample(
    detector: &Detector,
    explained: Vec<Explained<'_>>,
    config: &Config,
) -> Result<Option<SanityCheck>, Error> {
    let (all, n) = (explained.len(), explained.len().min(SANITY_EXAMPLES));
    if n == 0 {
        return Ok(None);
    }
    let mut randomised = detector.randomised(config.seed)?;
    // Spread evenly over the examples, which are ordered by kind.
    let chosen: Vec<usize> = (0..n).map(|k| k * all / n).collect();
    let mut pairs = Vec::new();
    for (_, Explained { picture, class, maps }) in
        explained.into_iter().enumerate().filter(|(index, _)| chosen.contains(index))
    {
        let others = if randomised.branch_detector().is_some() {
            let maps = randomised.evidence_maps(&decode(&picture)?)?;
            maps.into_iter().map(|map| map.contributions).collect()
        } else {
            randomised.heat_maps(picture.pixels, &[class], &config.layer)?
        };
        pairs.extend(maps.into_iter().zip(others));
    }
    Ok(Some(sanity_check(&pairs)))
}
