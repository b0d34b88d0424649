//! The cache of kagglehub (`cache.py`). Version N is in `datasets/OWNER/SLUG/versions/N`, and is complete if
//! `datasets/OWNER/SLUG/N.complete` exists.

use std::fs;
use std::path::PathBuf;

use fetch::Environment;

use super::dataset::version_number;
use super::{Dataset, Local};

/// A cache folder.
#[derive(Debug)]
pub(super) struct Cache(PathBuf);

impl Cache {
    /// Returns the cache folder that an environment configures. `None` if there is no home folder either.
    pub(super) fn of(environment: &Environment) -> Option<Cache> {
        let default = || Some(environment.home()?.join(".cache").join("kagglehub"));
        environment.path("KAGGLEHUB_CACHE").or_else(default).map(Cache)
    }

    /// Returns the folder of all versions of a data set.
    pub(super) fn folder(&self, dataset: &Dataset) -> PathBuf {
        self.0.join("datasets").join(&dataset.owner).join(&dataset.slug)
    }

    /// Returns the path of the archive of a version, which need not exist.
    pub(super) fn archive(&self, dataset: &Dataset, version: u32) -> PathBuf {
        self.folder(dataset).join(format!("{version}.zip"))
    }

    /// Returns the given version, or else the newest one in the cache. `None` if it is not in the cache.
    pub(super) fn get(&self, dataset: &Dataset) -> Option<Local> {
        match dataset.version {
            Some(version) => self.version(dataset, version),
            None => self.versions(dataset).into_iter().rev().find_map(|version| self.version(dataset, version)),
        }
    }

    fn version(&self, dataset: &Dataset, version: u32) -> Option<Local> {
        let folder = self.folder(dataset);
        let extracted = folder.join("versions").join(version.to_string());
        if extracted.is_dir() && folder.join(format!("{version}.complete")).exists() {
            return Some(Local { version, path: extracted });
        }
        let path = self.archive(dataset, version);
        path.is_file().then_some(Local { version, path })
    }

    /// Lists the versions that have an archive or a `.complete` file, in ascending order.
    fn versions(&self, dataset: &Dataset) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(self.folder(dataset)) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let number = |name: String| version_number(name.strip_suffix(".complete").or(name.strip_suffix(".zip"))?);
        let mut versions: Vec<u32> = names.filter_map(number).collect();
        versions.sort_unstable();
        versions
    }
}
