//! A detector of branches.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use artifacts::hash::{self, Digest, Hash};
use artifacts::schema::ModelConfig;
use artifacts::shard::Shards;
use artifacts::{RunDir, Split, progress};
use branches::{
    Description, Extractor, Fusion, InputCutter, PretrainedFiles, Projection, ResnetWeights, Training, View,
    balanced_weights,
};
use exchange::Exchange;
use model::device::Device;
use signals::augment::AugmentConfig;

use super::{Blueprint, Created, Preparation, Splits};
use crate::balance::Balance;
use crate::config::Config;
use crate::error::Error;
use crate::held_out;
use crate::images::{Features, Images, used_rows};
use crate::input_source::InputSource;
use crate::learner::FusionLearner;

/// The name of the architecture in `config.json`.
const ARCHITECTURE: &str = "branches";

/// The branches, and the fusion that is trained.
pub(crate) struct BranchSet<'a> {
    config: &'a Config,
    extractor: Extractor,
    exchange: Rc<dyn Exchange>,
    files: PretrainedFiles,
    device: Device,
    /// The hash of the file of the vision transformer.
    vit: Option<Hash>,
    cutter: InputCutter,
    /// The folder of stored features.
    features: PathBuf,
    /// The weight of each branch in the fusion, once it is fitted.
    fusion_weights: RefCell<Vec<f64>>,
}

impl<'a> BranchSet<'a> {
    /// Opens the branches, and downloads pretrained weights if necessary. The processes of `exchange` compute the features
    /// together.
    pub(crate) fn open(
        config: &'a Config,
        run: &RunDir,
        device: Device,
        exchange: Rc<dyn Exchange>,
    ) -> Result<BranchSet<'a>, Error> {
        let vit = branches::resolve_vit(&config.model)?;
        let extractor = Extractor::open(&config.model, vit.as_deref(), &device)?;
        let cutter = branches::input_cutter(&config.model, vit.as_deref())?;
        let resnet = match config.model.resnet_branch() {
            Some(_) => config.network_weights().resolve().map_err(model::Error::from)?,
            None => None,
        };
        let resnet = resnet.map(|path| ResnetWeights { path, allow_missing: config.allow_missing.clone() });
        let hash = vit.as_deref().map(hash::file).transpose()?;
        let files = PretrainedFiles { vit, resnet };
        let fusion_weights = RefCell::new(vec![1.0; config.model.branches.len()]);
        let features = run.features();
        Ok(BranchSet { config, extractor, exchange, files, device, vit: hash, cutter, features, fusion_weights })
    }

    /// The views of each image of a split: as it is, and changed copies.
    fn views(&self, split: Split) -> Vec<View> {
        let views = &self.config.model.views;
        let changed = |augment: &AugmentConfig, copies: usize| {
            // Without changes, the copies would be equal to the image.
            let copies = if augment.is_on() { copies } else { 0 };
            let view = View::Changed { config: *augment, seed: self.config.seed };
            std::iter::once(View::Plain).chain(std::iter::repeat_n(view, copies)).collect()
        };
        match split {
            Split::Train => changed(&views.augment, views.train),
            Split::Val | Split::Test => changed(&self.config.model.validation.augment, 1),
        }
    }

    /// How the inputs of trained branches are cut, if the detector has such branches.
    fn inputs(&self, views: Vec<View>) -> Option<Arc<InputSource>> {
        let Config { seed, model, .. } = self.config;
        let source = || InputSource { cutter: self.cutter.clone(), views, augment: model.views.augment, seed: *seed };
        (!self.cutter.is_empty()).then(|| Arc::new(source()))
    }

    /// The weight of each row of the shards in the loss.
    fn weights(&self, shards: &Shards, rows: &[usize]) -> Vec<f32> {
        if self.config.model.fusion.balance {
            balanced_weights(shards.samples(), rows)
        } else {
            vec![1.0; shards.len()]
        }
    }

    /// Creates an untrained fusion, with projections that are fitted to some rows of the training images.
    fn fusion(&self, train: &Images, rows: &[usize]) -> Result<Fusion, Error> {
        let features =
            train.features.as_ref().ok_or_else(|| branches::Error::NoFiles { branches: ARCHITECTURE.into() })?;
        let config = &self.config.model.fusion;
        let batch = features.read(0, rows)?;
        let anchors = choose_anchors(&train.shards, rows, config.anchors, self.config.seed);
        let gamma = (config.gamma > 0.0).then_some(config.gamma as f32);
        let branches = batch.branches.iter().zip(self.extractor.parts());
        let projections = branches.map(|(branch, parts)| Projection::fit(branch, parts, gamma, &anchors));
        Ok(Fusion::new(&self.config.model, projections.collect::<Result<_, _>>()?)?)
    }
}

/// Returns the positions in `rows` of at most `limit` images: those with the lowest random numbers, which depend on the
/// seed and the images' content.
fn choose_anchors(shards: &Shards, rows: &[usize], limit: usize, seed: u64) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..rows.len()).collect();
    if positions.len() > limit {
        let key = |&position: &usize| {
            let id = shards.sample(rows[position]).id;
            Digest::default().part("anchor", &seed.to_le_bytes()).part("id", id.as_bytes()).finish()
        };
        positions.sort_by_cached_key(|position| *key(position).as_bytes());
        positions.truncate(limit);
        positions.sort_unstable();
    }
    positions
}

impl Blueprint for BranchSet<'_> {
    fn images(&self, shards: Arc<Shards>, stop: &dyn Fn() -> bool) -> Result<Option<Images>, Error> {
        let split = shards.samples().first().map_or(Split::Train, |sample| sample.split);
        let views = self.views(split);
        let label = format!("train: features of the {split} split");
        let store =
            branches::stored_features(&self.features, &self.extractor, &shards, &views, &label, &*self.exchange, stop)?;
        let Some(store) = store else { return Ok(None) };
        let rows = used_rows(&shards, self.config)?;
        let weights = self.weights(&shards, &rows);
        let features = Features { store: Arc::new(store), projected: None, weights };
        Ok(Some(Images {
            shards,
            rows,
            features: Some(features),
            inputs: self.inputs(views),
            balance: Balance::default(),
        }))
    }

    fn create(&self, seed: u64, initial: bool, splits: &Splits) -> Result<Created, Error> {
        let mut fusion = self.fusion(&splits.train, &splits.train.rows)?;
        fusion.set_weights(&self.fusion_weights.borrow());
        let train = Arc::new(splits.train.projected(&fusion)?);
        let val = Arc::new(splits.val.projected(&fusion)?);
        let training = Training::new(&self.config.model, fusion, &self.files, &self.device, seed)?;
        if let Some(report) = training.loaded_resnet().filter(|_| initial) {
            let source = String::from(self.config.network_weights());
            progress::line(&format!("train: {}", report.describe(&source)));
        }
        let learner = Box::new(FusionLearner::new(training, self.config.learning_rate(), seed));
        Ok(Created { learner, splits: Splits { train, val } })
    }

    fn install(&self, run: &Path) -> Result<(), Error> {
        match &self.files.vit {
            Some(vit) => Ok(branches::install_backbone(vit, run)?),
            None => Ok(()),
        }
    }

    fn prepare(&self, run: &Preparation<'_>, splits: &Splits, stop: &dyn Fn() -> bool) -> Result<bool, Error> {
        if let Some(weights) = held_out::saved_weights(run.folder, run.key) {
            progress::line("train: the predictions for held-out generators are those of the interrupted training");
            self.fusion_weights.replace(weights);
            return Ok(true);
        }
        if self.config.model.held_out_folds > 1 {
            run.space.check(&*self.create(run.seed, false, splits)?.learner)?;
        }
        let train = &splits.train;
        let create = |rows: &[usize]| Ok((self.fusion(train, rows)?, self.weights(&train.shards, rows)));
        let recipe = held_out::Recipe { create: &create, files: &self.files, device: &self.device };
        let Some(held_out) = held_out::predict(self.config, train, run.seed, &recipe, stop)? else {
            return Ok(false);
        };
        held_out::save(run.folder, run.key, &held_out)?;
        self.fusion_weights.replace(held_out.weights);
        Ok(true)
    }

    fn model_config(&self) -> ModelConfig {
        let description = Description { model: self.config.model.clone(), vit: self.vit };
        ModelConfig { detector: serde_json::to_value(description).ok(), ..ModelConfig::detector(ARCHITECTURE) }
    }

    fn pretrained(&self) -> Result<(String, Option<Hash>), Error> {
        match (self.vit, &self.files.resnet) {
            (Some(hash), _) => Ok((String::from(self.config.model.vit.weights.clone()), Some(hash))),
            (None, Some(resnet)) => Ok((String::from(self.config.network_weights()), Some(hash::file(&resnet.path)?))),
            (None, None) => Ok(("none".to_owned(), None)),
        }
    }
}
