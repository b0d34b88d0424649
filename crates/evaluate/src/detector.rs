//! A checkpoint that is ready to judge.

use artifacts::hash::{self, Hash};
use artifacts::schema::PreprocessorConfig;
use artifacts::statistics::sigmoid;
use artifacts::{Checkpoint, Error as ArtifactError, Label, Manifest, names};
use model::device::Device;
use model::{Error as ModelError, HeatMap, Network, NetworkConfig, Normalisation, PixelBatch, weights};

use crate::Error;

/// The network's two outputs for one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The logit of real.
    pub real: f32,
    /// The logit of fake.
    pub fake: f32,
}

impl Score {
    /// The logit of fake minus that of real.
    pub fn margin(self) -> f64 {
        f64::from(self.fake) - f64::from(self.real)
    }

    /// Softmax: the probability of being fake.
    pub fn p_fake(self) -> f64 {
        sigmoid(self.margin())
    }

    /// The class called at threshold 0.5.
    pub fn predicted(self) -> Label {
        if self.p_fake() >= 0.5 { Label::Fake } else { Label::Real }
    }
}

/// A network with trained weights and what it needs to know of an image.
#[derive(Debug)]
pub struct Detector {
    network: Network,
    preprocessing: PreprocessorConfig,
    weights: Hash,
    /// The index in the logits of real and of fake.
    classes: [usize; 2],
}

impl Detector {
    /// Loads a checkpoint.
    ///
    /// # Errors
    /// Files that are missing or malformed, or not those that the manifest of their training run describes, weights that do
    /// not fit, and a head that is not one of real and fake.
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
                .ok_or_else(|| no_detector("its config.json names no classes real and fake"))
        };
        let classes = [class(Label::Real)?, class(Label::Fake)?];
        let config = NetworkConfig {
            arch: model.architecture.clone(),
            classes: model.num_classes,
            normalisation: Normalisation { mean: preprocessing.image_mean, std: preprocessing.image_std },
        };
        let mut network = Network::new(&config, device)?;
        let path = checkpoint.weights();
        let loaded = weights::load_into(&mut network, &path, &[]).map_err(|source| match source {
            ModelError::SafeTensors { .. } | ModelError::WeightsMismatch { .. } | ModelError::WeightsType { .. } => {
                Error::Weights { path: checkpoint.path().to_owned(), source: Box::new(source) }
            }
            other => other.into(),
        })?;
        if loaded.head_replaced {
            return Err(no_detector("its weights have no head of as many classes as its config.json says"));
        }
        Ok(Detector { network, preprocessing, weights: hash::file(&path)?, classes })
    }

    /// What is done to an image before the network sees it.
    pub fn preprocessing(&self) -> &PreprocessorConfig {
        &self.preprocessing
    }

    /// BLAKE3 of the weights' file.
    pub fn weights(&self) -> Hash {
        self.weights
    }

    /// Height and width of the images it was trained on.
    pub fn size(&self) -> [usize; 2] {
        [self.preprocessing.size.height, self.preprocessing.size.width]
    }

    /// A network of the same shape with fresh weights.
    ///
    /// # Errors
    /// Those of the device.
    pub fn randomised(&self, seed: u64) -> Result<Detector, Error> {
        let mut network = Network::new(self.network.config(), self.network.device())?;
        network.initialise(seed)?;
        Ok(Detector { network, preprocessing: self.preprocessing.clone(), ..*self })
    }

    /// Scores of `n` images of [`Detector::size`], `[n, height, width, 3]`.
    ///
    /// # Errors
    /// Bytes that are not so many images.
    pub fn scores(&mut self, pixels: &[u8], n: usize) -> Result<Vec<Score>, Error> {
        self.start(pixels, n)?;
        self.finish()
    }

    /// Begins with `n` images as [`Detector::scores`], but without waiting for a card. Their scores come with
    /// [`Detector::finish`].
    ///
    /// # Errors
    /// Bytes that are not so many images.
    pub fn start(&mut self, pixels: &[u8], n: usize) -> Result<(), Error> {
        let [height, width] = self.size();
        Ok(self.network.start_inference(&PixelBatch { data: pixels, n, height, width })?)
    }

    /// The scores of all images that were begun with since the last call, in their order. Waits for them.
    ///
    /// # Errors
    /// Those of the device.
    pub fn finish(&mut self) -> Result<Vec<Score>, Error> {
        let [real, fake] = self.classes;
        let finished = self.network.finished_inferences()?;
        let rows = finished.iter().flat_map(|logits| logits.rows());
        Ok(rows.map(|row| Score { real: row[real], fake: row[fake] }).collect())
    }

    /// Checks, before anything is judged, that there are heat maps of a layer.
    ///
    /// # Errors
    /// A layer that does not exist.
    pub fn check_layer(&self, layer: &str) -> Result<(), Error> {
        Ok(self.network.check_layer(layer)?)
    }

    /// Grad-CAM heat maps of `n` images for one class each.
    ///
    /// # Errors
    /// Bytes that are not so many images, and a layer that does not exist.
    pub fn heat_maps(&mut self, pixels: &[u8], classes: &[Label], layer: &str) -> Result<Vec<HeatMap>, Error> {
        let [height, width] = self.size();
        let batch = PixelBatch { data: pixels, n: classes.len(), height, width };
        let indices: Vec<usize> = classes.iter().map(|class| self.classes[usize::from(class.index())]).collect();
        Ok(self.network.grad_cam(&batch, &indices, layer)?.0)
    }
}

/// Checks that the files are there which judging needs.
///
/// # Errors
/// The first that is missing, and what to do.
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

/// Holds the files of a checkpoint against the manifest of its training run. A checkpoint may stand alone, and has none
/// while it is trained.
fn verify(checkpoint: &Checkpoint) -> Result<(), ArtifactError> {
    let path = checkpoint.path();
    // A path may be a link, or `.`.
    let dir = path.canonicalize().map_err(ArtifactError::io("find", path))?;
    let Some((run, name)) = dir.parent().zip(dir.file_name()) else {
        return Ok(());
    };
    let name = name.to_string_lossy();
    let stands_in = |manifest: &Manifest| {
        manifest.stage == names::TRAIN && manifest.outputs.contains_key(&format!("{name}/{}", names::WEIGHTS))
    };
    let manifest = match Manifest::read(run) {
        // Many programs have a file of that name, and a checkpoint may lie below one. A training run has its history too.
        Err(ArtifactError::Malformed { .. } | ArtifactError::SchemaVersion { .. })
            if !run.join(names::HISTORY).exists() =>
        {
            None
        }
        read => read?,
    };
    let Some(manifest) = manifest.filter(stands_in) else {
        return Ok(());
    };
    for file in [names::WEIGHTS, names::MODEL_CONFIG, names::PREPROCESSOR_CONFIG] {
        manifest.verify(run, &format!("{name}/{file}"))?;
    }
    Ok(())
}
