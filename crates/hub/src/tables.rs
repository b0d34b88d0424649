//! Downloads of the tables of a data set.
//!
//! `GET /api/datasets/OWNER/NAME/revision/REVISION?blobs=true` lists the files of a revision with their sizes
//! (<https://huggingface.co/docs/hub/api>). A data set without parquet files may have a branch `refs/convert/parquet`,
//! into which the hub converts it (<https://huggingface.co/docs/dataset-viewer/parquet>).

use std::fs;
use std::path::PathBuf;

use artifacts::atomic;
use fetch::Request;
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::name::is_commit;
use crate::{Error, Hub, Wanted};

/// The branch of tables that the hub makes.
const CONVERTED: &str = "refs/convert/parquet";

/// The tables of a data set on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDataset {
    /// The commit of the tables.
    pub commit: String,
    /// The folder of the commit in the cache.
    pub folder: PathBuf,
    /// The tables, sorted by path.
    pub tables: Vec<PathBuf>,
}

/// A data set on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteDataset {
    /// The commit of the tables.
    pub commit: String,
    /// The sum of the sizes of the tables. `None` if the hub does not send them.
    pub bytes: Option<u64>,
    /// The paths of the tables in the repository, sorted.
    files: Vec<String>,
}

/// The answer of the hub, reduced to the fields that are used.
#[derive(Deserialize)]
struct Revision {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
}

/// The tables of a complete download, as recorded in the cache.
#[derive(Serialize, Deserialize)]
struct Record {
    commit: String,
    files: Vec<String>,
}

impl Hub {
    /// Lists the tables of a data set.
    ///
    /// # Errors
    /// There is no such data set, it has no tables, or the hub cannot be reached.
    pub fn list(&self, dataset: &Dataset) -> Result<RemoteDataset, Error> {
        if self.offline {
            return Err(self.offline_error(Wanted::Dataset(dataset.clone())));
        }
        let own = self.list_revision(dataset, &dataset.revision)?;
        let listed = if own.files.is_empty() { self.list_revision(dataset, CONVERTED).ok() } else { Some(own) };
        let listed = listed.filter(|listed| !listed.files.is_empty());
        listed
            .ok_or_else(|| Error::NoTables { dataset: Box::new(dataset.clone()), page: self.page(&dataset.repository) })
    }

    fn list_revision(&self, dataset: &Dataset, revision: &str) -> Result<RemoteDataset, Error> {
        let path = ["api", "datasets"].into_iter().chain(dataset.repository.name.split('/'));
        let url = self.endpoint.join_segments(path.chain(["revision", revision])).with_parameter("blobs", "true");
        let request = Request { url, authorization: self.authorization.clone() };
        let answer: Revision =
            self.client.json(&request).map_err(|error| self.request_error(Wanted::Dataset(dataset.clone()), error))?;
        if !is_commit(&answer.sha) {
            let reason = "the revision of its answer is not a commit".to_owned();
            return Err(Error::NotAHub { endpoint: self.endpoint.to_string(), reason });
        }
        let mut tables: Vec<Sibling> =
            answer.siblings.into_iter().filter(|file| dataset.has_table(&file.rfilename)).collect();
        tables.sort_by(|a, b| a.rfilename.cmp(&b.rfilename));
        Ok(RemoteDataset {
            commit: answer.sha,
            bytes: tables.iter().map(|file| file.size).sum(),
            files: tables.into_iter().map(|file| file.rfilename).collect(),
        })
    }

    /// Returns the tables of a data set, after downloading those that are not in the cache.
    ///
    /// Uses cached tables even if the revision is a branch with newer commits, so that runs are repeatable and need no
    /// network. To get another version, name its commit.
    ///
    /// # Errors
    /// The data set cannot be downloaded.
    pub fn fetch_dataset(&self, dataset: &Dataset) -> Result<LocalDataset, Error> {
        if let Some(local) = self.cached_dataset(dataset) {
            return Ok(local);
        }
        let RemoteDataset { commit, files, .. } = self.list(dataset)?;
        for file in &files {
            self.resolve(&dataset.file(file, &commit))?;
        }
        let record = Record { commit, files };
        // Under both names, so that the commit can be named later.
        for name in [dataset.clone(), dataset.at(&record.commit)] {
            let path = self.cache.tables_record(&name);
            let folder = path.parent().unwrap_or(&path);
            fs::create_dir_all(folder).map_err(artifacts::Error::io("create", folder))?;
            atomic::write_json(&path, &record)?;
        }
        Ok(self.local(dataset, record))
    }

    /// Returns the tables of a data set if all of them are in the cache. Makes no request.
    pub fn cached_dataset(&self, dataset: &Dataset) -> Option<LocalDataset> {
        let record: Record = serde_json::from_slice(&fs::read(self.cache.tables_record(dataset)).ok()?).ok()?;
        let is_valid = is_commit(&record.commit) && record.files.iter().all(|file| dataset.has_table(file));
        let local = is_valid.then(|| self.local(dataset, record))?;
        local.tables.iter().all(|table| table.exists()).then_some(local)
    }

    fn local(&self, dataset: &Dataset, record: Record) -> LocalDataset {
        let folder = self.cache.snapshot(&dataset.repository, &record.commit);
        let tables = record.files.iter().map(|file| folder.join(file)).collect();
        LocalDataset { commit: record.commit, folder, tables }
    }
}
