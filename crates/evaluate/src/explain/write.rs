//! Writes the folder `explanations/`.

use std::io::Cursor;
use std::path::Path;

use artifacts::predictions::Prediction;
use artifacts::schema::{Example, ExampleKind, Explanations, HeatMap, SanityCheck};
use artifacts::shard::Shards;
use artifacts::{Label, atomic, names};
use image::{ImageFormat, RgbImage};

use super::{Choice, choose, legend, overlay, sanity_check};
use crate::Error;
use crate::config::Config;
use crate::detector::Detector;

/// File name of the legend.
const LEGEND: &str = "legend.png";
/// Number of heat maps of the sanity check.
const SANITY_MAPS: usize = 8;

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
    let mut explained: Vec<(&[u8], Label)> = Vec::new();
    let mut maps = Vec::new();
    for (index, choice) in choose(predictions, config.examples).into_iter().enumerate() {
        let prediction = &predictions[choice.row];
        let picture = Picture { pixels: shards.pixels(choice.row), size: shards.size(), stem: stem(index, choice) };
        if detector.branch_detector().is_some() {
            let file = shards.file(choice.row).unwrap_or_default();
            examples.push(explain_branches(dir, detector, &picture, file, prediction, choice.kind)?);
            continue;
        }
        let (example, predicted_map) = explain(dir, detector, &picture, prediction, choice.kind, config)?;
        explained.push((picture.pixels, prediction.predicted));
        maps.push(predicted_map);
        examples.push(example);
    }
    let sanity = check_sample(detector, &explained, &maps, config)?;
    write_legend(dir)?;
    let index = Explanations {
        schema_version: Explanations::SCHEMA_VERSION,
        layer: if detector.branch_detector().is_some() {
            Explanations::ATTENTION_ROLLOUT.to_owned()
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

/// An image to explain.
struct Picture<'a> {
    /// `[height, width, 3]`.
    pixels: &'a [u8],
    /// Height and width.
    size: [usize; 2],
    /// The beginning of the names of its files.
    stem: String,
}

fn stem(index: usize, choice: Choice) -> String {
    format!("{index:03}-{}", choice.kind.word())
}

/// Writes the files of one example. Returns the example and the heat map of the predicted class.
fn explain(
    dir: &Path,
    detector: &mut Detector,
    picture: &Picture<'_>,
    prediction: &Prediction,
    kind: ExampleKind,
    config: &Config,
) -> Result<(Example, model::HeatMap), Error> {
    let image = write_stored(dir, picture)?;
    let predicted = prediction.predicted;
    let other = Label::ALL.into_iter().find(|&label| label != predicted).unwrap_or(predicted);
    let classes = [predicted, other];
    // One copy for each class.
    let copies = [picture.pixels, picture.pixels].concat();
    let maps = detector.heat_maps(&copies, &classes, &config.layer)?;
    let mut heat_maps = Vec::new();
    for (class, map) in classes.into_iter().zip(&maps) {
        let name = format!("{}-{class}.png", picture.stem);
        write_png(dir, &name, &overlay(picture.pixels, picture.size, map))?;
        let peak = f64::from(map.values.iter().copied().fold(0.0, f32::max));
        heat_maps.push(HeatMap { class, peak, overlay: name });
    }
    let example = example(prediction, kind, image, heat_maps);
    let predicted_map = maps.into_iter().next().unwrap_or(model::HeatMap { values: vec![], height: 0, width: 0 });
    Ok((example, predicted_map))
}

/// Writes the files of one example of a detector of branches. Its heat map, if a branch is a vision transformer, shows
/// where the transformer looks, for both classes alike.
fn explain_branches(
    dir: &Path,
    detector: &Detector,
    picture: &Picture<'_>,
    file: &[u8],
    prediction: &Prediction,
    kind: ExampleKind,
) -> Result<Example, Error> {
    let image = write_stored(dir, picture)?;
    let decoded = branches::Picture::decode(file)
        .map_err(|detail| branches::Error::Decode { path: prediction.path.clone(), detail })?;
    let mut heat_maps = Vec::new();
    for map in detector.picture_heat_maps(&decoded)? {
        let class = prediction.predicted;
        let name = format!("{}-{class}.png", picture.stem);
        write_png(dir, &name, &overlay(picture.pixels, picture.size, &map))?;
        let peak = f64::from(map.values.iter().copied().fold(0.0, f32::max));
        heat_maps.push(HeatMap { class, peak, overlay: name });
    }
    Ok(example(prediction, kind, image, heat_maps))
}

/// Writes the stored pixels of an example. Returns the name of the file.
fn write_stored(dir: &Path, picture: &Picture<'_>) -> Result<String, Error> {
    let [height, width] = picture.size;
    let image = format!("{}.png", picture.stem);
    let at = |x: u32, y: u32| (y as usize * width + x as usize) * 3;
    let stored = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        image::Rgb(std::array::from_fn(|channel| picture.pixels[at(x, y) + channel]))
    });
    write_png(dir, &image, &stored)?;
    Ok(image)
}

fn example(prediction: &Prediction, kind: ExampleKind, image: String, heat_maps: Vec<HeatMap>) -> Example {
    Example {
        kind,
        id: prediction.id,
        path: prediction.path.clone(),
        label: prediction.label,
        generator: prediction.generator.clone(),
        predicted: prediction.predicted,
        p_fake: prediction.p_fake,
        image,
        heat_maps,
    }
}

/// Runs the sanity check on at most [`SANITY_MAPS`] of the explained examples.
fn check_sample(
    detector: &Detector,
    explained: &[(&[u8], Label)],
    maps: &[model::HeatMap],
    config: &Config,
) -> Result<Option<SanityCheck>, Error> {
    let n = explained.len().min(SANITY_MAPS);
    if n == 0 {
        return Ok(None);
    }
    // Spread evenly over the examples, which are ordered by kind.
    let spread: Vec<usize> = (0..n).map(|k| k * explained.len() / n).collect();
    let images: Vec<_> = spread.iter().map(|&index| explained[index]).collect();
    let maps: Vec<_> = spread.iter().map(|&index| maps[index].clone()).collect();
    sanity_check(detector, config.seed, &images, &maps, &config.layer).map(Some)
}

/// Writes an image as PNG.
pub(crate) fn write_png(dir: &Path, name: &str, picture: &RgbImage) -> Result<(), Error> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(atomic::write_file(&dir.join(name), &bytes.into_inner())?)
}
