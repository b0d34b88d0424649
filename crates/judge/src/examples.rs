//! Writes the folder `explanations/`: examples of right and wrong predictions, without heat maps.

use std::io::Cursor;
use std::path::Path;

use artifacts::schema::{Example, Explanations};
use artifacts::{Error, atomic, names};
use evaluate::explain::choose;
use image::ImageFormat;

use crate::Evaluation;
use crate::images::Images;

/// Chooses examples of the first training run and writes their pictures. Writes nothing if no picture can be read.
pub(crate) fn write(
    evaluation_dir: &Path,
    evaluation: &Evaluation,
    images: &Images,
    count: usize,
) -> Result<(), Error> {
    let first = evaluation.predictions.first().map(|prediction| prediction.run);
    let of_first = evaluation.predictions.iter().filter(|prediction| Some(prediction.run) == first);
    let predictions: Vec<_> = of_first.cloned().collect();
    let dir = evaluation_dir.join(names::EXPLANATIONS);
    let mut examples = Vec::new();
    for (index, choice) in choose(&predictions, count).into_iter().enumerate() {
        let prediction = &predictions[choice.row];
        let Some(&image) = evaluation.images.get(choice.row) else { continue };
        let Some(png) = images.pictures.square(image).and_then(|picture| png(&picture)) else { continue };
        if examples.is_empty() {
            std::fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        }
        let name = format!("{index:03}-{}.png", choice.kind.word());
        atomic::write_file(&dir.join(&name), &png)?;
        examples.push(Example::new(choice.kind, prediction, name));
    }
    if examples.is_empty() {
        return Ok(());
    }
    let index = Explanations {
        schema_version: Explanations::SCHEMA_VERSION,
        layer: String::new(),
        legend: None,
        sanity: None,
        examples,
    };
    atomic::write_json(&dir.join(names::EXPLANATIONS_INDEX), &index)
}

fn png(picture: &pixels::RgbImage) -> Option<Vec<u8>> {
    let buffer = image::RgbImage::from_raw(picture.width(), picture.height(), picture.data().to_vec())?;
    let mut bytes = Cursor::new(Vec::new());
    buffer.write_to(&mut bytes, ImageFormat::Png).ok()?;
    Some(bytes.into_inner())
}
