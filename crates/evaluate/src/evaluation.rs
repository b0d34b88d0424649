//! Reading evaluations from disk. Their files are verified against their manifests.

use std::path::{Path, PathBuf};

use artifacts::predictions::{self, Prediction};
use artifacts::schema::Metrics;
use artifacts::{Error, Manifest, RunDir, atomic, names};

/// A complete evaluation on disk.
#[derive(Debug)]
pub struct Evaluation {
    dir: PathBuf,
    manifest: Manifest,
}

impl Evaluation {
    /// Returns the evaluation in a folder; `None` if there is no complete one.
    ///
    /// # Errors
    /// The manifest is unreadable.
    pub fn find(dir: &Path) -> Result<Option<Evaluation>, Error> {
        Ok(Manifest::read(dir)?.map(|manifest| Evaluation { dir: dir.to_owned(), manifest }))
    }

    /// Returns the evaluation in a folder.
    ///
    /// # Errors
    /// The folder holds no complete evaluation.
    pub fn require(dir: &Path) -> Result<Evaluation, Error> {
        Ok(Evaluation { dir: dir.to_owned(), manifest: Manifest::require(dir, names::EVALUATE)? })
    }

    /// Reads `metrics.json`.
    ///
    /// # Errors
    /// The file is unreadable, or not the one that the manifest describes.
    pub fn metrics(&self) -> Result<Metrics, Error> {
        let path = self.manifest.verified(&self.dir, names::METRICS)?;
        atomic::read_versioned(&path, names::METRICS, Metrics::SCHEMA_VERSION)
    }

    /// Reads `predictions.parquet`.
    ///
    /// # Errors
    /// The file is unreadable, or not the one that the manifest describes.
    pub fn predictions(&self) -> Result<Vec<Prediction>, Error> {
        predictions::read(&self.manifest.verified(&self.dir, names::PREDICTIONS)?)
    }

    /// Returns the folder of the shards with the evaluated images: `evaluate.data`, or the shards of the evaluation's
    /// run. The folder need not exist any more.
    pub fn shards(&self) -> PathBuf {
        match self.manifest.config["data"].as_str() {
            Some(data) => PathBuf::from(data),
            None => RunDir::new(self.dir.parent().unwrap_or(Path::new("."))).ingest(),
        }
    }
}
