//! The file with the frozen weights of the vision transformer.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::Checkpoint;
use artifacts::hash::{self, Hash};
use model::weights::{self, Source};
use vision::Tower;

use crate::config::{BranchName, ModelConfig};
use crate::error::{Error, Result};

/// The folder with the frozen weights of a training run or of an exported checkpoint.
const BACKBONE: &str = "backbone";
/// The weights in [`BACKBONE`].
const BACKBONE_WEIGHTS: &str = "model.safetensors";
/// Files beside the weights that describe them.
const BACKBONE_FILES: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// Returns the file of the vision transformer, and downloads it if necessary. Returns `None` if the detector has no such
/// branch.
///
/// # Errors
/// The file cannot be downloaded, or no weights are configured.
pub fn resolve_vit(config: &ModelConfig) -> Result<Option<PathBuf>> {
    if !config.branches.contains(&BranchName::Vit) {
        return Ok(None);
    }
    let weights = &config.vit.weights;
    let path = weights.resolve().map_err(Error::VitSource)?.ok_or(Error::VitWithoutWeights)?;
    check_readable(&path)?;
    let [config, preprocessing] = BACKBONE_FILES;
    weights.resolve_beside(config).map_err(Error::VitSource)?;
    // Without this file, the preprocessing is that of the published models of the family.
    let _ = weights.resolve_beside(preprocessing);
    Ok(Some(path))
}

/// Checks that the vision transformer can be opened, as far as that needs no download.
///
/// # Errors
/// No weights are configured, or the configured file is no vision transformer.
pub fn check_weights(config: &ModelConfig) -> Result<()> {
    if !config.branches.contains(&BranchName::Vit) {
        return Ok(());
    }
    match &config.vit.weights {
        Source::None => Err(Error::VitWithoutWeights),
        Source::Hub(_) => Ok(()),
        Source::Path(path) => {
            check_readable(path)?;
            Ok(Tower::open(path).map(drop)?)
        }
    }
}

/// Checks that a file exists. The error names the setting, and the hub if the path looks like a model there.
fn check_readable(path: &Path) -> Result<()> {
    let read = |source| Error::VitSource(weights::Error::Read { path: path.to_owned(), source });
    fs::metadata(path).map(drop).map_err(read)
}

/// Puts the frozen weights at `vit`, with the files that describe them, into the folder `run`. Uses hard links where the
/// file system supports them. Does nothing if the folder has them already.
///
/// # Errors
/// A file cannot be written.
pub fn install_backbone(vit: &Path, run: &Path) -> Result<()> {
    let folder = run.join(BACKBONE);
    let target = folder.join(BACKBONE_WEIGHTS);
    if target.exists() && hash::file(&target)? == hash::file(vit)? {
        return Ok(());
    }
    fs::create_dir_all(&folder).map_err(artifacts::Error::io("create", &folder))?;
    // Files of a download cache are symbolic links.
    let real = vit.canonicalize().map_err(artifacts::Error::io("find", vit))?;
    link_or_copy(&real, &target)?;
    for name in BACKBONE_FILES {
        let beside = vit.with_file_name(name);
        if beside.exists() {
            let real = beside.canonicalize().map_err(artifacts::Error::io("find", &beside))?;
            link_or_copy(&real, &folder.join(name))?;
        }
    }
    Ok(())
}

fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    let partial = artifacts::atomic::sibling(to, "partial");
    artifacts::atomic::remove_file(&partial)?;
    fs::hard_link(from, &partial)
        .or_else(|_| fs::copy(from, &partial).map(|_| ()))
        .map_err(artifacts::Error::io("write", &partial))?;
    Ok(artifacts::atomic::rename(&partial, to)?)
}

/// Finds the frozen weights of a checkpoint: in its own folder, in the folder of its training run, or where the training
/// took them from.
pub(crate) fn find(checkpoint: &Checkpoint, model: &ModelConfig, wanted: Hash) -> Result<PathBuf> {
    let own = checkpoint.path().canonicalize().unwrap_or_else(|_| checkpoint.path().to_owned());
    let places = [Some(own.as_path()), own.parent()];
    let mut found = None;
    for folder in places.into_iter().flatten() {
        let path = folder.join(BACKBONE).join(BACKBONE_WEIGHTS);
        if path.exists() {
            if hash::file(&path)? == wanted {
                return Ok(path);
            }
            found = Some(path);
        }
    }
    if let Some(path) = found {
        return Err(Error::OtherBackbone { path });
    }
    let path = resolve_vit(model)?.ok_or(Error::VitWithoutWeights)?;
    if hash::file(&path)? == wanted { Ok(path) } else { Err(Error::OtherBackbone { path }) }
}

#[cfg(test)]
mod tests {
    use artifacts::failure::chain;

    use super::*;

    #[test]
    fn missing_file_that_looks_like_a_model_on_the_hub_is_explained() {
        let mut config = ModelConfig { branches: vec![BranchName::Vit], ..ModelConfig::default() };
        config.vit.weights = Source::Path("openai/clip-vit-base-patch16".into());
        for error in [check_weights(&config).unwrap_err(), resolve_vit(&config).unwrap_err()] {
            let message = chain(&error);
            for part in ["model.vit.weights", "cannot read openai/clip", "write `hf:openai/clip-vit-base-patch16`"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }
}
