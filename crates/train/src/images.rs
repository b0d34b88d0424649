//! The images of a split, as the model takes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use artifacts::Split;
use artifacts::shard::Shards;
use branches::{FeatureBatch, Fusion, StoredFeatures};

use crate::balance::Balance;
use crate::config::Config;
use crate::error::Error;
use crate::input_source::InputSource;

/// The number of rows that are projected at once.
const ROWS: usize = 256;

/// The images of a split.
#[derive(Debug)]
pub struct Images {
    /// The shards of the split.
    pub shards: Arc<Shards>,
    /// The rows of the shards that are used, in stored order.
    pub rows: Vec<usize>,
    /// The features of the images, for a detector of branches.
    pub features: Option<Features>,
    /// The inputs of trained branches, for a detector that has such branches.
    pub inputs: Option<Arc<InputSource>>,
    /// How training balances the images, for a model that takes their pixels.
    pub balance: Balance,
}

/// The features of a split in several views, and the weight of each image in the loss.
#[derive(Debug)]
pub struct Features {
    /// The stored features.
    pub store: Arc<StoredFeatures>,
    /// The projected features of all rows, view by view. `None` while the projection is unknown.
    pub projected: Option<Arc<FeatureBatch>>,
    /// One weight for each row of the shards. Rows that are not used have weight 0.
    pub weights: Vec<f32>,
}

impl Features {
    /// Reads the stored features of some rows in one view.
    pub(crate) fn read(&self, view: usize, rows: &[usize]) -> Result<FeatureBatch, Error> {
        let mut batch = FeatureBatch::new(self.store.widths());
        for &row in rows {
            self.store.read(view, row, &mut batch)?;
        }
        Ok(batch)
    }

    /// Projects the features of all rows in all views.
    fn project(&self, fusion: &Fusion) -> Result<FeatureBatch, Error> {
        let mut projected: Option<FeatureBatch> = None;
        for view in 0..self.store.views() {
            for start in (0..self.store.len()).step_by(ROWS) {
                let rows: Vec<usize> = (start..(start + ROWS).min(self.store.len())).collect();
                let batch = fusion.project(&self.read(view, &rows)?)?;
                match &mut projected {
                    Some(projected) => projected.append(&batch),
                    None => projected = Some(batch),
                }
            }
        }
        Ok(projected.unwrap_or_default())
    }
}

impl Images {
    /// All images of shards, for a model that takes their pixels.
    pub fn pixels(shards: Arc<Shards>) -> Images {
        Images { rows: (0..shards.len()).collect(), shards, features: None, inputs: None, balance: Balance::default() }
    }

    /// Returns some of the images, with their weights in the loss. They have projected features, if there are any.
    pub(crate) fn only(&self, rows: Vec<usize>, weights: &[f32]) -> Images {
        let features = self.features.as_ref().map(|features| Features {
            store: Arc::clone(&features.store),
            projected: features.projected.clone(),
            weights: weights.to_vec(),
        });
        let (inputs, balance) = (self.inputs.clone(), Balance::default());
        Images { shards: Arc::clone(&self.shards), rows, features, inputs, balance }
    }

    /// Returns the same images with the projected features of a fusion.
    pub(crate) fn projected(&self, fusion: &Fusion) -> Result<Images, Error> {
        let project = |features: &Features| -> Result<Features, Error> {
            let projected = Some(Arc::new(features.project(fusion)?));
            Ok(Features { store: Arc::clone(&features.store), projected, weights: features.weights.clone() })
        };
        let features = self.features.as_ref().map(project).transpose()?;
        Ok(Images {
            shards: Arc::clone(&self.shards),
            rows: self.rows.clone(),
            features,
            inputs: self.inputs.clone(),
            balance: self.balance.clone(),
        })
    }

    /// The number of images.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of images of a validation, which takes each view of an image as an image.
    pub(crate) fn validation_len(&self) -> usize {
        self.len() * self.views()
    }

    /// The number of views of an image.
    pub(crate) fn views(&self) -> usize {
        self.features.as_ref().map_or(1, |features| features.store.views())
    }
}

/// Returns the rows of the images that are used for training or, of another split, for validation: all but those of
/// generators that are left out or of which few images are trained on.
///
/// # Errors
/// The training split has no images of one of these generators.
pub(crate) fn used_rows(shards: &Shards, config: &Config) -> Result<Vec<usize>, Error> {
    let Config { leave_out, few_shot, .. } = config;
    let is_train = shards.samples().first().is_some_and(|sample| sample.split == Split::Train);
    let known: BTreeSet<&str> = shards.samples().iter().map(|sample| sample.generator.as_str()).collect();
    let unknown = |name: &&String| name.is_empty() || is_train && !known.contains(name.as_str());
    if let Some(unknown) = leave_out.iter().chain(few_shot.keys()).find(unknown) {
        let known: Vec<&str> = known.into_iter().filter(|name| !name.is_empty()).collect();
        return Err(Error::UnknownGenerator { name: unknown.clone(), known: known.join(", ") });
    }
    let generator = |row: usize| &shards.sample(row).generator;
    let is_used = |&row: &usize| !leave_out.contains(generator(row)) && !few_shot.contains_key(generator(row));
    let mut rows: Vec<usize> = (0..shards.len()).filter(is_used).collect();
    for (name, &count) in few_shot.iter().filter(|(name, _)| !leave_out.contains(name)) {
        let is_trained_on = |row: &usize| generator(*row) == name && shards.sample(*row).split == Split::Train;
        let mut own: Vec<usize> = (0..shards.len()).filter(is_trained_on).collect();
        own.sort_by_key(|&row| *shards.sample(row).id.as_bytes());
        rows.extend(own.into_iter().take(count));
    }
    rows.sort_unstable();
    Ok(rows)
}
