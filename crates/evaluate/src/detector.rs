//! A loaded checkpoint.

use std::path::PathBuf;

use artifacts::command;
use artifacts::hash::{self, Hash};
use artifacts::schema::PreprocessorConfig;
use artifacts::statistics::sigmoid;
use artifacts::{Checkpoint, Error as ArtifactError, Label, Manifest, names};
use branches::{BranchDetector, BranchName, EvidenceMap, FeatureBatch, Margins, Picture, TrainedInputs};
use model::device::Device;
use model::{Error as ModelError, HeatMap, Network, NetworkConfig, Normalisation, PixelBatch, weights};
use pixels::Recipe;

use crate::Error;

/// The two logits of an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// The logit of the class real.
    pub real: f32,
    /// The logit of the class fake.
    pub fake: f32,
    /// The margin of each branch of a detector of branches, in the order of [`Detector::branches`]; `None` if the branch
    /// has nothing to say about the image. Empty for other detectors.
    pub branches: Vec<Option<f32>>,
}

impl Score {
    /// The margin: the logit of fake minus the logit of real.
    pub fn margin(&self) -> f64 {
        f64::from(self.fake) - f64::from(self.real)
    }

    /// P(fake), the softmax of the logits.
    pub fn p_fake(&self) -> f64 {
        sigmoid(self.margin())
    }

    /// The predicted class at threshold 0.5 of P(fake).
    pub fn predicted(&self) -> Label {
        if self.p_fake() >= 0.5 { Label::Fake } else { Label::Real }
    }
}

/// The model of a detector.
#[derive(Debug)]
enum Model {
    /// A network on resized pixels. Holds the indices of the logits of real and fake.
    Network(Box<Network>, [usize; 2]),
    /// Branches on image files at native resolution.
    Branches(Box<BranchDetector>),
}

/// A model with trained weights, and the preprocessing of its images.
#[derive(Debug)]
pub struct Detector {
    /// The folder of the checkpoint.
    path: PathBuf,
    model: Model,
    preprocessing: PreprocessorConfig,
    weights: Hash,
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
        let weights = hash::file(&checkpoint.weights())?;
        let path = checkpoint.path().to_owned();
        if let Some(detector) = &model.detector {
            let description = serde_json::from_value(detector.clone())
                .map_err(|error| no_detector(&format!("its config.json describes no known branches ({error})")))?;
            let branches = BranchDetector::open(checkpoint, &description, device)?;
            return Ok(Detector { path, model: Model::Branches(Box::new(branches)), preprocessing, weights });
        }
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
        let mut network = Network::zeros(&config, device)?;
        let loaded = network.load(&checkpoint.weights(), &[]).map_err(|source| match source {
            ModelError::Weights(
                weights::Error::SafeTensors { .. }
                | weights::Error::Mismatch { .. }
                | weights::Error::Type { .. }
                | weights::Error::NotFinite { .. },
            ) => Error::Weights { path: checkpoint.path().to_owned(), source: Box::new(source) },
            other => other.into(),
        })?;
        if loaded.head_replaced {
            return Err(no_detector("the head of its weights does not have as many classes as its config.json states"));
        }
        Ok(Detector { path, model: Model::Network(Box::new(network), classes), preprocessing, weights })
    }

    /// The names of the branches. Empty unless the detector is a detector of branches.
    pub fn branches(&self) -> Vec<&'static str> {
        match &self.model {
            Model::Network(..) => Vec::new(),
            Model::Branches(detector) => detector.branches().into_iter().map(BranchName::name).collect(),
        }
    }

    /// The detector of branches, which judges files at native resolution. `None` if the detector judges resized pixels.
    pub fn branch_detector(&self) -> Option<&BranchDetector> {
        match &self.model {
            Model::Network(..) => None,
            Model::Branches(detector) => Some(detector),
        }
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

    /// Returns a detector with the same model and random weights.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn randomised(&self, seed: u64) -> Result<Detector, Error> {
        let model = match &self.model {
            Model::Network(network, classes) => {
                let mut other = Network::zeros(network.config(), network.device())?;
                other.initialise(seed)?;
                Model::Network(Box::new(other), *classes)
            }
            Model::Branches(detector) => Model::Branches(Box::new(detector.randomised(seed)?)),
        };
        let (path, preprocessing) = (self.path.clone(), self.preprocessing.clone());
        Ok(Detector { path, model, preprocessing, weights: self.weights })
    }

    /// Computes the scores of `n` images of [`Detector::size`]. `pixels` is `[n, height, width, 3]`.
    ///
    /// # Errors
    /// `pixels` has another length, the device fails, or the detector judges files.
    pub fn scores(&mut self, pixels: &[u8], n: usize) -> Result<Vec<Score>, Error> {
        self.start_scores(pixels, n)?;
        self.finish_scores()
    }

    /// Starts to compute the scores of `n` images like [`Detector::scores`], without waiting for a GPU.
    /// [`Detector::finish_scores`] returns the scores.
    ///
    /// # Errors
    /// `pixels` has another length, the device fails, or the detector judges files.
    pub fn start_scores(&mut self, pixels: &[u8], n: usize) -> Result<(), Error> {
        let [height, width] = self.size();
        match &mut self.model {
            Model::Network(network, _) => {
                Ok(network.start_inference(&PixelBatch { data: pixels, n, height, width })?)
            }
            Model::Branches(_) => Err(self.needs_files()),
        }
    }

    /// Waits for the scores of all images that were started since the last call, and returns them in the same order.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn finish_scores(&mut self) -> Result<Vec<Score>, Error> {
        let Model::Network(network, [real, fake]) = &mut self.model else { return Ok(Vec::new()) };
        let finished = network.finished_inferences()?;
        let rows = finished.iter().flat_map(|logits| logits.rows());
        Ok(rows.map(|row| Score { real: row[*real], fake: row[*fake], branches: Vec::new() }).collect())
    }

    /// Computes the scores of image files at native resolution.
    ///
    /// # Errors
    /// A branch fails, or the detector judges resized pixels.
    pub fn picture_scores(&mut self, pictures: &[Picture<'_>]) -> Result<Vec<Score>, Error> {
        let Model::Branches(detector) = &mut self.model else { return Err(self.needs_pixels()) };
        Ok(scores_of_margins(&detector.margins(pictures)?))
    }

    /// Computes the scores of stored features of the detector's frozen branches, and of the inputs of its trained ones of the
    /// same images ([`BranchDetector::trained_inputs`]).
    ///
    /// # Errors
    /// The features are those of other branches, or the detector judges resized pixels.
    pub fn feature_scores(&mut self, features: &FeatureBatch, inputs: &TrainedInputs) -> Result<Vec<Score>, Error> {
        let Model::Branches(detector) = &mut self.model else { return Err(self.needs_pixels()) };
        Ok(scores_of_margins(&detector.margins_of_features(features, inputs)?))
    }

    fn needs_files(&self) -> Error {
        let detail = "its branches judge image files, but there are only resized pixels";
        Error::NoDetector { path: self.path.clone(), detail: detail.to_owned() }
    }

    fn needs_pixels(&self) -> Error {
        Error::NoDetector { path: self.path.clone(), detail: "it has no branches".to_owned() }
    }

    /// Checks that the model has a layer for heat maps. A detector of branches ignores it.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn check_layer(&self, layer: &str) -> Result<(), Error> {
        match &self.model {
            Model::Network(network, _) => Ok(network.check_layer(layer)?),
            Model::Branches(_) => Ok(()),
        }
    }

    /// Computes one Grad-CAM heat map for each image, of the class at the same index of `classes`. `pixels` is
    /// `[classes.len(), height, width, 3]`.
    ///
    /// # Errors
    /// `pixels` has another length, there is no such layer, or the detector judges files.
    pub fn heat_maps(&mut self, pixels: &[u8], classes: &[Label], layer: &str) -> Result<Vec<HeatMap>, Error> {
        let [height, width] = self.size();
        match &mut self.model {
            Model::Network(network, indices) => {
                let batch = PixelBatch { data: pixels, n: classes.len(), height, width };
                let classes: Vec<usize> = classes.iter().map(|class| indices[usize::from(class.index())]).collect();
                Ok(network.grad_cam(&batch, &classes, layer)?.0)
            }
            Model::Branches(_) => Err(self.needs_files()),
        }
    }

    /// Computes where the branches of a detector of branches find evidence in an image.
    ///
    /// # Errors
    /// A branch fails, or the detector judges resized pixels.
    pub fn evidence_maps(&mut self, picture: &Picture<'_>) -> Result<Vec<EvidenceMap>, Error> {
        let Model::Branches(detector) = &mut self.model else { return Err(self.needs_pixels()) };
        Ok(detector.evidence_maps(picture)?)
    }
}

fn scores_of_margins(margins: &Margins) -> Vec<Score> {
    let score = |(image, margin): (usize, &f32)| Score {
        real: -0.5 * margin,
        fake: 0.5 * margin,
        branches: margins.branches.iter().map(|branch| branch[image]).collect(),
    };
    margins.fused.iter().enumerate().map(score).collect()
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
        advice: format!("train one with `{}`, or name another with --ckpt", command::line("train")),
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
