//! The command line.

use std::path::PathBuf;

use artifacts::progress;
use artifacts::stage::Failure;
use clap::{Args, ValueEnum};
use predict::ModelName;

use crate::source::Source;
use crate::{folder, onnx};

/// Write a trained model for other programs
///
/// `--format hf` writes a folder with weights, architecture, preprocessing, calibration, what the model was trained on,
/// its measured limits, and a model card. It can be uploaded to the Hugging Face hub as it is. torchvision, timm and
/// transformers load a ResNet from it, and `candling predict --model FOLDER` any detector.
///
/// `--format onnx` writes a ResNet, or a detector whose verdict is that of the branch `vit` or of `vit` and a ResNet, as
/// one file, with a free number of images in a batch, and the preprocessing and the order of the classes in its metadata.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The run whose model is exported [default: the latest under `runs`]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// The checkpoint: best, last, or the folder of a checkpoint
    #[arg(long, value_name = "CKPT", default_value = "best")]
    pub ckpt: String,
    /// The format
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Format,
    /// The folder (hf) or file (onnx) to write
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
}

/// A format that other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A folder as on the Hugging Face hub
    Hf,
    /// An ONNX file
    Onnx,
}

/// Writes the model.
///
/// # Errors
/// There is no such model, the format cannot express it, or the target cannot be written.
pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    let source = Source::open(&ModelName::Run { dir: args.run_dir.clone(), ckpt: args.ckpt.clone() })?;
    if let Some(why) = &source.info.why_uncalibrated {
        progress::line(&format!("export: the model has no calibration: {why}"));
    }
    let bytes = match args.format {
        Format::Hf => folder::write(&source, &args.out)?,
        Format::Onnx => onnx::write(&source, &args.out)?,
    };
    progress::line(&format!("export: wrote {} to {}", progress::bytes(bytes), args.out.display()));
    Ok(())
}
