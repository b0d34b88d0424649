//! The model to export.

use artifacts::Checkpoint;
use artifacts::schema::{ModelConfig, PreprocessorConfig};
use branches::Description;
use evaluate::Detector;
use model::device::Device;
use predict::{ModelInfo, ModelName};

use crate::error::Error;

/// A checkpoint with all that is known of its model.
pub(crate) struct Source {
    pub(crate) checkpoint: Checkpoint,
    /// Content of `config.json`.
    pub(crate) model: ModelConfig,
    /// Content of `preprocessor_config.json`.
    pub(crate) preprocessing: PreprocessorConfig,
    /// Calibration, limits and training data.
    pub(crate) info: ModelInfo,
    /// The branches, if it is a detector of branches.
    pub(crate) branches: Option<Description>,
}

impl Source {
    /// Finds a model. Loads it once, which verifies its files.
    ///
    /// # Errors
    /// There is no such model, or a file is damaged.
    pub(crate) fn open(name: &ModelName) -> Result<Source, Error> {
        let located = name.locate()?;
        let detector = Detector::open(&located.checkpoint, &Device::Cpu).map_err(predict::Error::from)?;
        let info = located.info(detector.weights())?;
        let checkpoint = located.checkpoint;
        let model = checkpoint.read_model_config()?;
        let branches = model.detector.as_ref().map(|detector| serde_json::from_value(detector.clone())).transpose();
        let branches = branches.map_err(|error| {
            artifacts::Error::malformed(&checkpoint.model_config(), "checkpoint's config.json", error)
        })?;
        let preprocessing = checkpoint.read_preprocessor_config()?;
        Ok(Source { checkpoint, model, preprocessing, info, branches })
    }
}
