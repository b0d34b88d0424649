//! Loading of a model with everything that verdicts depend on.

use artifacts::progress::line;
use evaluate::Detector;
use model::PrecisionChoice;
use model::device::DeviceChoice;

use crate::error::Error;
use crate::judge::Judge;
use crate::machine::Machine;
use crate::model_name::ModelName;

/// The number of images in a batch, by default.
pub(crate) const BATCH: usize = 32;

/// Loads a model. Downloads it first if it is on the Hugging Face hub and not in the cache.
///
/// # Errors
/// There is no such model, it cannot be downloaded, one of its files is damaged, or the device cannot be used.
pub fn open(name: &ModelName, device: DeviceChoice, precision: PrecisionChoice) -> Result<Judge, Error> {
    let located = name.locate()?;
    let checkpoint = &located.checkpoint;
    let device = device.open(precision).map_err(|error| evaluate::Error::Model(error.into()))?;
    let detector = Detector::open(checkpoint, &device)?;
    line(&format!("predict: {} on {device}", checkpoint.path().display()));
    let info = located.info(detector.weights())?;
    let mut recipe = detector.recipe()?;
    recipe.max_pixels = info.max_pixels;
    let machine = Machine::of(&device);
    Ok(Judge { detector, recipe, info, device: device.to_string(), machine, batch: BATCH })
}
