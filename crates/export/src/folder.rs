//! A folder in Hugging Face's format.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::{Error as ArtifactError, names};
use branches::{BranchName, Description};
use predict::ModelInfo;
use serde_json::{Value, json};

use crate::card;
use crate::error::Error;
use crate::source::Source;

/// The architectures of torchvision and timm.
const RESNETS: [&str; 4] = ["resnet18", "resnet34", "resnet50", "resnet101"];

/// Returns whether torchvision, timm and transformers have this architecture.
pub(crate) fn is_known_elsewhere(architecture: &str) -> bool {
    RESNETS.contains(&architecture)
}

/// Writes a model to a folder, and returns the size of its weights in bytes.
///
/// # Errors
/// The target is not an earlier export, or cannot be written.
pub(crate) fn write(source: &Source, out: &Path) -> Result<u64, Error> {
    check_target(out)?;
    let folder = DirWriter::create(out)?;
    let dir = folder.path();
    let copied = dir.join(names::WEIGHTS);
    let mut bytes = fs::copy(source.checkpoint.weights(), &copied).map_err(ArtifactError::io("write", &copied))?;
    atomic::write_json(&dir.join(names::MODEL_CONFIG), &config(source)?)?;
    atomic::write_json(&dir.join(names::PREPROCESSOR_CONFIG), &source.preprocessing)?;
    source.info.write(dir)?;
    if let Some(description) = source.branches.as_ref().filter(|branches| branches.vit.is_some()) {
        let frozen = frozen_weights(source, description)?;
        bytes += fs::metadata(&frozen).map_err(ArtifactError::io("read", &frozen))?.len();
        branches::install_backbone(&frozen, dir)?;
    }
    atomic::write_file(&dir.join("README.md"), card::render(source).as_bytes())?;
    folder.publish()?;
    Ok(bytes)
}

/// Refuses a target that is not an earlier export, because it would be replaced.
fn check_target(out: &Path) -> Result<(), Error> {
    let refused = |detail| Err(Error::Target { path: out.to_owned(), detail });
    if out.is_file() {
        return refused("is a file, but the export is a folder");
    }
    let holds_files = fs::read_dir(out).is_ok_and(|mut files| files.next().is_some());
    // A run has its checkpoints in subfolders, and a checkpoint its training state beside the weights.
    let is_export = out.join(ModelInfo::FILE).exists() && !out.join(names::TRAINING_STATE).exists();
    if holds_files && !is_export {
        return refused("is not an exported model and would be replaced");
    }
    Ok(())
}

/// Returns the content of `config.json`, with what timm reads.
fn config(source: &Source) -> Result<Value, Error> {
    let mut config: Value = atomic::read_json(&source.checkpoint.model_config(), "checkpoint's config.json")?;
    if is_known_elsewhere(&source.model.architecture) {
        config["pretrained_cfg"] = pretrained_cfg(source);
    }
    // A path on the disk of the author means nothing elsewhere. The weights are in the folder itself.
    if let Some(weights) = config.pointer_mut("/detector/model/vit/weights")
        && let Some(path) = weights.as_str().filter(|name| !name.starts_with("hf:")).map(PathBuf::from)
        && let Some(name) = path.file_name()
    {
        *weights = json!(name.to_string_lossy());
    }
    Ok(config)
}

/// Returns timm's description of a model: how its images are made, and its classes.
fn pretrained_cfg(source: &Source) -> Value {
    let made = &source.preprocessing;
    json!({
        "input_size": [3, made.size.height, made.size.width],
        "fixed_input_size": false,
        "interpolation": made.filter.as_deref().unwrap_or("bilinear"),
        "crop_pct": 1.0,
        "crop_mode": if made.fit.as_deref() == Some("crop") { "center" } else { "squash" },
        "mean": made.image_mean,
        "std": made.image_std,
        "num_classes": source.model.num_classes,
        "first_conv": "conv1",
        "classifier": "fc",
        "label_names": source.model.id2label.values().collect::<Vec<_>>(),
    })
}

/// Returns the file of the frozen weights of the branch `vit`: that of the checkpoint or of its training run, or the one
/// that the training took.
fn frozen_weights(source: &Source, description: &Description) -> Result<PathBuf, Error> {
    let checkpoint = source.checkpoint.path();
    let beside = [Some(checkpoint), checkpoint.parent()];
    let paths = beside.into_iter().flatten().map(|folder| folder.join("backbone").join(names::WEIGHTS));
    // The model was loaded, so that the first one has the right hash.
    if let Some(path) = paths.into_iter().find(|path| path.exists()) {
        return Ok(path);
    }
    let found = branches::resolve_vit(&description.model)?;
    let advice = || format!("the branch {} needs its weights", BranchName::Vit);
    Ok(found.ok_or_else(|| ArtifactError::malformed(&source.checkpoint.model_config(), "config.json", advice()))?)
}
