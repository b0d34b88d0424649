//! The options that name a model.

use std::path::PathBuf;

use artifacts::progress::line;
use clap::Args;
use model::PrecisionChoice;
use model::device::DeviceChoice;

use crate::error::Error;
use crate::judge::Judge;
use crate::model_name::ModelName;
use crate::open::open;

/// The model, and where to compute.
#[derive(Clone, Debug, Args)]
pub struct ModelArgs {
    /// The model: the folder of a run, checkpoint or exported model, or `hf:owner/repo[@revision]` on the Hugging Face
    /// hub [default: that of --run-dir and --ckpt]
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["run_dir", "ckpt"])]
    pub model: Option<ModelName>,
    /// The run whose model is used [default: the latest under `runs`]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// The checkpoint: best, last, or the folder of a checkpoint
    #[arg(long, value_name = "CKPT", default_value = "best")]
    pub ckpt: String,
    /// The device to compute on: auto, cpu or `cuda[:N]`
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,
    /// Element type of products: auto (f32 on CPUs, the fastest on GPUs), f32, bf16, or tf32 on GPUs
    #[arg(long, value_name = "NAME", default_value_t)]
    pub precision: PrecisionChoice,
}

impl ModelArgs {
    /// Returns the name of the model.
    pub fn name(&self) -> ModelName {
        match &self.model {
            Some(name) => name.clone(),
            None => ModelName::Run { dir: self.run_dir.clone(), ckpt: self.ckpt.clone() },
        }
    }

    /// Loads the model, and says on standard error what its verdicts are based on.
    ///
    /// # Errors
    /// The errors of [`open()`].
    pub fn open(&self) -> Result<Judge, Error> {
        let judge = open(&self.name(), self.device, self.precision)?;
        if judge.info.calibration.is_none() {
            let why = judge.info.why_uncalibrated.as_deref().unwrap_or("its description has no calibration");
            line(&format!("predict: P(fake) is not calibrated, so verdicts use the threshold 0.5: {why}"));
        }
        line(
            "predict: statements in a file about its origin (generator parameters, IPTC, C2PA) are shown, but do not \
             influence the verdict; their absence proves nothing",
        );
        Ok(judge)
    }
}
