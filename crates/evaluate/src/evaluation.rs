//! Evaluations on disk, read only where they are what their manifests describe.

use std::path::{Path, PathBuf};

use artifacts::predictions::{self, Prediction};
use artifacts::schema::Metrics;
use artifacts::{Error, Manifest, atomic, names};
use serde::Deserialize;

use crate::stage::SCHEMA_VERSION;

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
        const FORMAT: &str = "metrics.json";
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let path = self.verified(names::METRICS)?;
        let Version { schema_version: found } = atomic::read_json(&path, FORMAT)?;
        if found > SCHEMA_VERSION {
            return Err(Error::SchemaVersion { path, found, supported: SCHEMA_VERSION });
        }
        atomic::read_json(&path, FORMAT)
    }

    /// Its `predictions.parquet`.
    pub(crate) fn predictions(&self) -> Result<Vec<Prediction>, Error> {
        predictions::read(&self.verified(names::PREDICTIONS)?)
    }

    fn verified(&self, name: &str) -> Result<PathBuf, Error> {
        self.manifest.verify(&self.dir, name)?;
        Ok(self.dir.join(name))
    }
}
