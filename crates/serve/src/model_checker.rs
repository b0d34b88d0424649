//! The model of a run as a [`Checker`].

use std::path::{Path, PathBuf};

use artifacts::progress::line;
use artifacts::stage::Failure;
use artifacts::{Checkpoint, RunDir, names};
use evaluate::Detector;
use evaluate::predict::{Calibration, Content, Found, Judge, TrainingProfile, Uncalibrated};
use serde_json::{Value, json};

use crate::checker::{Checked, Checker, PictureFile};
use crate::cli::ServeArgs;

/// The model of a run.
pub(crate) struct ModelChecker {
    judge: Judge,
    name: String,
}

impl ModelChecker {
    /// Opens the model that the arguments name.
    ///
    /// # Errors
    /// There is no such model, or it is damaged.
    pub(crate) fn open(args: &ServeArgs) -> Result<ModelChecker, Failure> {
        let run = match &args.run_dir {
            Some(dir) => RunDir::new(dir),
            None => RunDir::latest(Path::new(names::RUNS))?,
        };
        let checkpoint = match Checkpoint::by_name(&args.ckpt) {
            Some(find) => find(&run.train_run(0)),
            None => Checkpoint::new(&args.ckpt),
        };
        let device = args.device.open(args.precision).map_err(|error| evaluate::Error::Model(error.into()))?;
        let detector = Detector::open(&checkpoint, &device)?;
        detector.check_layer(&args.layer)?;
        line(&format!("serve: {} on {device}", checkpoint.path().display()));
        let mut recipe = detector.recipe()?;
        recipe.max_pixels = recipe.max_pixels.min(args.limits.max_pixels());
        let calibration: Result<_, Uncalibrated> = Calibration::of_run(&run, detector.weights())?;
        let profile = TrainingProfile::of_run(&run);
        let name = checkpoint.path().to_string_lossy().into_owned();
        Ok(ModelChecker { judge: Judge { detector, recipe, calibration, profile, batch: 1, explain: None }, name })
    }
}

impl Checker for ModelChecker {
    fn model(&self) -> Value {
        let band = self.judge.calibration.ok().map(|known| json!({ "low": known.band.low, "high": known.band.high }));
        json!({ "name": self.name, "weights": self.judge.detector.weights(), "band": band })
    }

    fn check(&mut self, file: &PictureFile, _is_cancelled: &dyn Fn() -> bool) -> Result<Checked, Failure> {
        let found = Found { path: PathBuf::from(&file.name), content: Content::Bytes(file.bytes.clone()) };
        let row = self.judge.rows(&[found])?.pop().unwrap_or_default();
        Ok(Checked { result: serde_json::to_value(row).map_err(Failure::failed)?, ..Checked::default() })
    }
}
