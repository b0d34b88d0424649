//! A loaded checkpoint.

use std::path::PathBuf;

use artifacts::hash::{self, Hash};
use artifacts::schema::PreprocessorConfig;
use artifacts::statistics::sigmoid;
use artifacts::{Checkpoint, Error as ArtifactError, Label, Manifest, names};
use model::device::Device;
use model::{Error as ModelError, HeatMap, Network, NetworkConfig, Normalisation, PixelBatch, weights};
use pixels::Recipe;

use crate::Error;

/// The two logits of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The logit of the class real.
    pub real: f32,
    /// The logit of the class fake.
    pub fake: f32,
}

impl Score {
    /// The margin: the logit of fake minus the logit of real.
    pub fn margin(self) -> f64 {
        f64::from(self.fake) - f64::from(self.real)
    }

    /// P(fake), the softmax of the logits.
    pub fn p_fake(self) -> f64 {
        sigmoid(self.margin())
    }

    /// The predicted class at threshold 0.5 of P(fake).
    pub fn predicted(self) -> Label {
        if self.p_fake() >= 0.5 { Label::Fake } else { Label::Real }
    }
}

/// A network with trained weights, and the preprocessing of its images.
#[derive(Debug)]
pub struct Detector {
    /// The folder of the checkpoint.
    path: PathBuf,
    network: Network,
    preprocessing: PreprocessorConfig,
    weights: Hash,
    /// The indices of the logits of real and fake.
    classes: [usize; 2],
}

impl Detector {
    /// Loads a checkpoint.
    ///
    /// # Errors
    /// A file is missing, malformed, or differs from the manifest of its training run; the weights do not fit the
    /// network; or the network has no classes real and fake.
    pub fn open(checkpoint: &Checkpoint, device: &Device) -> Result<Detector, Error> {
        let no_detector =
            |detail: &str| Error::NoDetector { path: checkpoint.path().to_owned(), detail: detail.to_owned() };
        check_presence(checkpoint)?;
        verify(checkpoint)?;
        let model = checkpoint.read_model_config()?;
        let preprocessing = checkpoint.read_preprocessor_config()?;
        let class = |label: Label| {
            let index = model.label2id.get(&label).map(|&index| usize::from(index));
            index
                .filter(|&index| index < model.num_classes)
                .ok_or_else(|| no_detector("its config.json has no classes real and fake"))
        };
        let classes = [class(Label::Real)?, class(Label::Fake)?];
        let config = NetworkConfig {
            arch: model.architecture.clone(),
            classes: model.num_classes,
            normalisation: Normalisation { mean: preprocessing.image_mean, std: preprocessing.image_std },
        };
        let mut network = Network::new(&config, device)?;
        let path = checkpoint.weights();
        let loaded = network.load(&path, &[]).map_err(|source| match source {
            ModelError::Weights(
                weights::Error::SafeTensors { .. } | weights::Error::Mismatch { .. } | weights::Error::Type { .. },
            ) => Error::Weights { path: checkpoint.path().to_owned(), source: Box::new(source) },
            other => other.into(),
        })?;
        if loaded.head_replaced {
            return Err(no_detector("the head of its weights does not have as many classes as its config.json states"));
        }
        let weights = hash::file(&path)?;
        Ok(Detector { path: checkpoint.path().to_owned(), network, preprocessing, weights, classes })
    }

    /// The checkpoint's `preprocessor_config.json`.
    pub fn preprocessing(&self) -> &PreprocessorConfig {
        &self.preprocessing
    }

    /// Returns how image files become the pixels for [`Detector::scores`], with the default limit on pixels.
    ///
    /// # Errors
    /// The checkpoint needs a preprocessing step that this program does not have.
    pub fn recipe(&self) -> Result<Recipe, Error> {
        Recipe::from_preprocessor_config(&self.preprocessing)
            .map_err(|source| Error::Preprocessing { path: self.path.clone(), source })
    }

    /// The BLAKE3 hash of the file of weights.
    pub fn weights(&self) -> Hash {
        self.weights
    }

    /// Height and width of the images that the network takes.
    pub fn size(&self) -> [usize; 2] {
        [self.preprocessing.size.height, self.preprocessing.size.width]
    }

    /// Returns a detector with the same network and random weights.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn randomised(&self, seed: u64) -> Result<Detector, Error> {
        let mut network = Network::new(self.network.config(), self.network.device())?;
        network.initialise(seed)?;
        Ok(Detector { network, path: self.path.clone(), preprocessing: self.preprocessing.clone(), ..*self })
    }

    /// Computes the scores of `n` images of [`Detector::size`]. `pixels` is `[n, height, width, 3]`.
    ///
    /// # Errors
    /// `pixels` has another length, or the device fails.
    pub fn scores(&mut self, pixels: &[u8], n: usize) -> Result<Vec<Score>, Error> {
        self.start_scores(pixels, n)?;
        self.finish_scores()
    }

    /// Starts to compute the scores of `n` images like [`Detector::scores`], without waiting for a GPU.
    /// [`Detector::finish_scores`] returns the scores.
    ///
    /// # Errors
    /// `pixels` has another length, or the device fails.
    pub fn start_scores(&mut self, pixels: &[u8], n: usize) -> Result<(), Error> {
        let [height, width] = self.size();
        Ok(self.network.start_inference(&PixelBatch { data: pixels, n, height, width })?)
    }

    /// Waits for the scores of all images that were started since the last call, and returns them in the same order.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn finish_scores(&mut self) -> Result<Vec<Score>, Error> {
        let [real, fake] = self.classes;
        let finished = self.network.finished_inferences()?;
        let rows = finished.iter().flat_map(|logits| logits.rows());
        Ok(rows.map(|row| Score { real: row[real], fake: row[fake] }).collect())
    }

    /// Checks that the network has a layer for heat maps.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn check_layer(&self, layer: &str) -> Result<(), Error> {
        Ok(self.network.check_layer(layer)?)
    }

    /// Computes one Grad-CAM heat map for each image, of the class at the same index of `classes`. `pixels` is
    /// `[classes.len(), height, width, 3]`.
    ///
    /// # Errors
    /// `pixels` has another length, or there is no such layer.
    pub fn heat_maps(&mut self, pixels: &[u8], classes: &[Label], layer: &str) -> Result<Vec<HeatMap>, Error> {
        let [height, width] = self.size();
        let batch = PixelBatch { data: pixels, n: classes.len(), height, width };
        let indices: Vec<usize> = classes.iter().map(|class| self.classes[usize::from(class.index())]).collect();
        Ok(self.network.grad_cam(&batch, &indices, layer)?.0)
    }
}

/// Checks that a checkpoint has all files that inference needs.
///
/// # Errors
/// The first missing file.
pub(crate) fn check_presence(checkpoint: &Checkpoint) -> Result<(), ArtifactError> {
    let files = [checkpoint.weights(), checkpoint.model_config(), checkpoint.preprocessor_config()];
    let Some(missing) = files.iter().find(|file| !file.exists()) else {
        return Ok(());
    };
    let name = missing.file_name().unwrap_or_default().to_string_lossy();
    Err(ArtifactError::Missing {
        artifact: format!("checkpoint with its {name}"),
        path: checkpoint.path().to_owned(),
        advice: "train one with `cargo xtask train`, or name another with --ckpt".to_owned(),
    })
}

/// Verifies the files of a checkpoint against the manifest of its training run. Without a manifest there is nothing to
/// verify: a copied checkpoint has none, and a training in progress has none yet.
fn verify(checkpoint: &Checkpoint) -> Result<(), ArtifactError> {
    let path = checkpoint.path();
    // The path may be a symbolic link, or `.`.
    let dir = path.canonicalize().map_err(ArtifactError::io("find", path))?;
    let Some((run, name)) = dir.parent().zip(dir.file_name()) else {
        return Ok(());
    };
    let name = name.to_string_lossy();
    let describes_checkpoint = |manifest: &Manifest| {
        manifest.stage == names::TRAIN && manifest.outputs.contains_key(&format!("{name}/{}", names::WEIGHTS))
    };
    let manifest = match Manifest::read(run) {
        // Other programs have files called manifest.json too. A folder is a training run only if it also has a history.
        Err(ArtifactError::Malformed { .. } | ArtifactError::SchemaVersion { .. })
            if !run.join(names::HISTORY).exists() =>
        {
            None
        }
        read => read?,
    };
    let Some(manifest) = manifest.filter(describes_checkpoint) else {
        return Ok(());
    };
    for file in [names::WEIGHTS, names::MODEL_CONFIG, names::PREPROCESSOR_CONFIG] {
        manifest.verify(run, &format!("{name}/{file}"))?;
    }
    Ok(())
}
