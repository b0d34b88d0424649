//! Evaluations on disk, read only where they are what their manifests describe.

use std::path::{Path, PathBuf};

use artifacts::predictions::{self, Prediction};
use artifacts::schema::Metrics;
use artifacts::{Error, Manifest, atomic, names};

/// A complete evaluation.
pub(crate) struct Evaluation {
    dir: PathBuf,
    manifest: Manifest,
}

impl Evaluation {
    /// The evaluation in a folder, if there is a complete one.
    pub(crate) fn find(dir: &Path) -> Result<Option<Evaluation>, Error> {
        Ok(Manifest::read(dir)?.map(|manifest| Evaluation { dir: dir.to_owned(), manifest }))
    }

    /// The evaluation in a folder that must be complete.
    pub(crate) fn require(dir: &Path) -> Result<Evaluation, Error> {
        Ok(Evaluation { dir: dir.to_owned(), manifest: Manifest::require(dir, names::EVALUATE)? })
    }

    /// Its `metrics.json`.
    pub(crate) fn metrics(&self) -> Result<Metrics, Error> {
        let path = self.manifest.verified(&self.dir, names::METRICS)?;
        atomic::read_versioned(&path, names::METRICS, Metrics::SCHEMA_VERSION)
    }

    /// Its `predictions.parquet`.
    pub(crate) fn predictions(&self) -> Result<Vec<Prediction>, Error> {
        predictions::read(&self.manifest.verified(&self.dir, names::PREDICTIONS)?)
    }
}
