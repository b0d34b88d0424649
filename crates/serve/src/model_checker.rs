//! A model of Candling as a [`Checker`].

use std::path::Path;

use artifacts::stage::Failure;
use predict::{CheckOptions, Judge, ModelName, Record};
use provenance::{Provenance, TrustList};
use serde_json::{Value, json};

use crate::args::ServeArgs;
use crate::checker::{Checked, Checker, EvidenceImage, PictureFile};

/// The longest side of the picture in a page, in pixels.
const PICTURE_SIDE: u32 = 1600;

/// A model of Candling.
pub(crate) struct ModelChecker {
    judge: Judge,
    name: String,
    layer: String,
    trust: Option<TrustList>,
}

impl ModelChecker {
    /// Opens the model that the arguments name.
    ///
    /// # Errors
    /// There is no such model, or it is damaged.
    pub(crate) fn open(args: &ServeArgs) -> Result<ModelChecker, Failure> {
        let mut judge = args.model.open()?;
        judge.detector.check_layer(&args.layer)?;
        judge.recipe.max_pixels = judge.recipe.max_pixels.min(args.limits.max_pixels());
        let trust = args.trust_list.as_deref().map(TrustList::read).transpose().map_err(Failure::input)?;
        Ok(ModelChecker { judge, name: short_name(&args.model.name()), layer: args.layer.clone(), trust })
    }
}

/// Returns the name of a model without the folders of this machine.
fn short_name(name: &ModelName) -> String {
    let last = |path: &Path| {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    match name {
        ModelName::Run { dir: Some(dir), ckpt } => format!("{} of {}", last(Path::new(ckpt)), last(dir)),
        ModelName::Run { dir: None, ckpt } => last(Path::new(ckpt)),
        ModelName::Folder(folder) => last(folder),
        ModelName::Hub(repository) => repository.clone(),
    }
}

impl Checker for ModelChecker {
    fn model(&self) -> Value {
        let info = &self.judge.info;
        json!({
            "name": self.name,
            "weights": self.judge.detector.weights(),
            "device": self.judge.machine.device,
            "trust_list": self.trust.as_ref().map(TrustList::hash),
            "branches": self.judge.detector.branches(),
            "band": info.calibration.map(|known| json!({ "low": known.band.low, "high": known.band.high })),
            "trained_on": info.trained_on,
            "measured": info.measured,
        })
    }

    fn check(&mut self, file: &PictureFile, is_cancelled: &dyn Fn() -> bool) -> Result<Checked, Failure> {
        let options = CheckOptions {
            explain: file.images,
            layer: self.layer.clone(),
            stability: file.stability,
            picture: file.images.then_some(PICTURE_SIDE),
            trust: self.trust.clone(),
        };
        let check = self.judge.check_unless(&file.name, &file.bytes, &options, is_cancelled)?;
        let record = Record::of(&self.judge, &check, &options);
        let image = |overlay: predict::Overlay| EvidenceImage {
            branch: overlay.branch.unwrap_or_default(),
            class: overlay.class.to_string(),
            overlay: overlay.png,
            heat: overlay.heat,
            region: overlay.region,
        };
        Ok(Checked {
            result: serde_json::to_value(&check.row).map_err(Failure::failed)?,
            record: serde_json::to_value(record).map_err(Failure::failed)?,
            origin: check.row.provenance.as_ref().map(Provenance::sentences).unwrap_or_default(),
            images: check.overlays.into_iter().map(image).collect(),
            picture: check.picture,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_has_no_folders_of_this_machine() {
        let name = |dir: &str| short_name(&ModelName::Run { dir: Some(dir.into()), ckpt: "best".to_owned() });
        assert_eq!(name("/home/somebody/runs/faces"), "best of faces");
        assert_eq!(short_name(&ModelName::Folder("/home/somebody/model".into())), "model");
        assert_eq!(short_name(&ModelName::Hub("hf:owner/model".to_owned())), "hf:owner/model");
    }
}
