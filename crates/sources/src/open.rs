//! Opening of sources, from a configuration or from the path that an earlier ingest recorded.

use std::path::{Path, PathBuf};

use artifacts::hash::{Digest, Hash};
use artifacts::progress;
use artifacts::text::visible;
use hub::{Hub, LocalDataset};

use crate::combined::{Combined, combine};
use crate::config::SourceConfig;
use crate::csv_list::CsvList;
use crate::error::SourceError;
use crate::folder::Folder;
use crate::kaggle::{Dataset, Kaggle};
use crate::simulated::SimulatedSet;
use crate::simulated_source::SimulatedSource;
use crate::source::{Entry, Source};
use crate::source_list::SourcePart;
use crate::table::{Tables, tables_in};
use crate::zip_archive::Archive;

/// What the name of a source refers to.
#[derive(Debug)]
pub enum Location<'a> {
    /// A simulated set.
    Simulated(SimulatedSet),
    /// A data set on Kaggle.
    Kaggle(Dataset),
    /// A data set on the Hugging Face hub.
    Hub(hub::Dataset),
    /// A file or folder.
    Path(&'a Path),
}

impl<'a> Location<'a> {
    /// Parses the name of a source.
    ///
    /// # Errors
    /// Invalid parameters of a simulated set, or an invalid name of a data set.
    pub fn parse(source: &'a str) -> Result<Location<'a>, SourceError> {
        if let Some(parameters) = source.strip_prefix("simulated:") {
            return Ok(Location::Simulated(parameters.parse()?));
        }
        if source.starts_with("kaggle:") {
            return Ok(Location::Kaggle(source.parse()?));
        }
        if source.starts_with("hf:") {
            return Ok(Location::Hub(source.parse()?));
        }
        Ok(Location::Path(Path::new(source)))
    }

    /// Whether opening the source may start a download.
    pub fn is_remote(&self) -> bool {
        matches!(self, Location::Kaggle(_) | Location::Hub(_))
    }
}

/// Opens a source, or several as one. Downloads a data set of Kaggle or the Hugging Face hub that is not in the cache.
///
/// # Errors
/// A source is not there, cannot be read, or has no labelled images.
pub fn open(config: &SourceConfig) -> Result<Box<dyn Source>, SourceError> {
    let source = open_unchecked(config)?;
    check_columns(&*source, config)?;
    Ok(source)
}

/// Does the same without [`check_columns`].
fn open_unchecked(config: &SourceConfig) -> Result<Box<dyn Source>, SourceError> {
    open_all(config, |_, name, config| match Location::parse(name)? {
        Location::Simulated(set) => open_simulated(set, config),
        Location::Kaggle(dataset) => open_path(&Kaggle::from_process(&dataset)?.fetch(&dataset)?.path, config),
        Location::Hub(dataset) => open_tables(Hub::from_process(&dataset)?.fetch_dataset(&dataset)?, config),
        Location::Path(path) => open_path(path, config),
    })
}

/// Opens the source of an earlier ingest. The result does not depend on the current folder, and nothing is downloaded.
/// `roots` are the [`Source::roots`] that ingest recorded.
///
/// # Errors
/// The source is no longer there or cannot be read.
pub fn reopen(config: &SourceConfig, roots: &[Option<PathBuf>]) -> Result<Box<dyn Source>, SourceError> {
    let source = open_all(config, |part, name, config| {
        let recorded = roots.get(part).and_then(Option::as_deref);
        let root = recorded.filter(|root| root.exists());
        let gone = || SourceError::Gone { source_name: name.to_owned(), root: recorded.map(Path::to_owned) };
        match Location::parse(name)? {
            Location::Simulated(set) => open_simulated(set, config),
            Location::Kaggle(dataset) => {
                let cached = || Kaggle::from_process(&dataset).ok()?.cached(&dataset).map(|local| local.path);
                let path = root.map(Path::to_owned).or_else(cached);
                open_path(&path.ok_or_else(gone)?, config)
            }
            Location::Hub(dataset) => match Hub::from_process(&dataset)?.cached_dataset(&dataset) {
                Some(local) => open_tables(local, config),
                None => open_path(root.ok_or_else(gone)?, config),
            },
            Location::Path(path) => match recorded_path(path, root) {
                path if path.exists() => open_path(&path, config),
                _ => Err(gone()),
            },
        }
    })?;
    check_columns(&*source, config)?;
    Ok(source)
}

/// Opens each source with `open_one`, which gets its index, name and configuration.
fn open_all(
    config: &SourceConfig,
    open_one: impl Fn(usize, &str, &SourceConfig) -> Result<Box<dyn Source>, SourceError>,
) -> Result<Box<dyn Source>, SourceError> {
    match config.source.single() {
        Some(name) => open_one(0, name, config),
        None => {
            let open_part = |at, part: &SourcePart| open_one(at, &part.source, &config.of_part(part));
            Ok(Box::new(Combined::open(&config.source, open_part)?))
        }
    }
}

/// Checks that each column that the configuration names has a cell. It need not be in each of several sources.
fn check_columns(source: &dyn Source, config: &SourceConfig) -> Result<(), SourceError> {
    let missing = |key, column: &str| Err(SourceError::NoColumn { column: visible(column), key });
    let has = |is_there: &dyn Fn(Entry) -> bool| (0..source.len()).any(|index| is_there(source.entry(index)));
    if let Some(column) = &config.group_column
        && !has(&|entry| !entry.group.is_empty())
    {
        return missing("group_column", column);
    }
    match config.report_columns.iter().find(|column| !has(&|entry| entry.columns.contains_key(*column))) {
        Some(column) => missing("report_columns", column),
        None => Ok(()),
    }
}

fn open_tables(local: LocalDataset, config: &SourceConfig) -> Result<Box<dyn Source>, SourceError> {
    Ok(Box::new(Tables::open(&local.folder, local.tables, config)?))
}

fn open_simulated(set: SimulatedSet, config: &SourceConfig) -> Result<Box<dyn Source>, SourceError> {
    match config.label {
        None => Ok(Box::new(SimulatedSource::new(set))),
        Some(_) => Err(SourceError::LabelOfSimulated),
    }
}

/// Returns the recorded path of a source, whose configured `path` may be relative to another folder. The root of a CSV
/// list is the folder of the list. The root of every other source is the source itself.
fn recorded_path(path: &Path, root: Option<&Path>) -> PathBuf {
    let Some(root) = root else { return path.to_owned() };
    match path.file_name() {
        // Not if the source is itself a folder with that name.
        Some(name) if has_extension(path, "csv") && root.file_name() != Some(name) => root.join(name),
        _ => root.to_owned(),
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn open_path(path: &Path, config: &SourceConfig) -> Result<Box<dyn Source>, SourceError> {
    if path.is_dir() {
        return match Folder::open(path, config) {
            // A folder of tables has no images, or only a few unlabelled ones for its documentation.
            Err(error) if error.is_without_labelled_images() => match tables_in(path)? {
                tables if tables.is_empty() => Err(error),
                tables => Ok(Box::new(Tables::open(path, tables, config)?)),
            },
            folder => Ok(Box::new(folder?)),
        };
    }
    if !path.exists() {
        return Err(SourceError::NotFound { source_name: path.display().to_string() });
    }
    if has_extension(path, "zip") {
        Ok(Box::new(Archive::open(path, config)?))
    } else if has_extension(path, "csv") {
        Ok(Box::new(CsvList::open(path, config)?))
    } else if has_extension(path, "parquet") {
        Ok(Box::new(Tables::open(path, vec![path.to_owned()], config)?))
    } else {
        Err(SourceError::UnknownKind { path: path.to_owned() })
    }
}

/// Returns a digest of the content of the sources, computed without reading the images. For a data set of Kaggle or the
/// Hugging Face hub, it is computed from name and version, because a version never changes.
///
/// # Errors
/// The errors of [`open`].
pub fn fingerprint(config: &SourceConfig) -> Result<Hash, SourceError> {
    fingerprint_with(config, open)
}

/// Does the same with a function that opens a source on this machine.
fn fingerprint_with(
    config: &SourceConfig,
    open: fn(&SourceConfig) -> Result<Box<dyn Source>, SourceError>,
) -> Result<Hash, SourceError> {
    match config.source.single() {
        Some(name) => match Location::parse(name)? {
            Location::Kaggle(dataset) => {
                let pinned = Kaggle::from_process(&dataset)?.pinned(&dataset)?;
                Ok(Digest::default().part("kaggle", pinned.to_string().as_bytes()).finish())
            }
            Location::Hub(dataset) => {
                let hub = Hub::from_process(&dataset)?;
                let commit = match hub.cached_dataset(&dataset) {
                    Some(local) => local.commit,
                    None => hub.list(&dataset)?.commit,
                };
                Ok(Digest::default().part("hub", dataset.at(&commit).to_string().as_bytes()).finish())
            }
            _ => open(config)?.fingerprint(),
        },
        None => combine(config.source.parts().iter().map(|part| {
            // A column need not be in every source.
            fingerprint_with(&config.of_part(part), open_unchecked)
        })),
    }
}

/// Describes the downloads that [`open`] would start, or the location of the cached data set. A source that is on this
/// machine has no notice, nor has one whose request fails; [`fingerprint`] reports the error of the request.
pub fn download_notices(config: &SourceConfig) -> Vec<String> {
    let describe = |source: &str| match Location::parse(source).ok()? {
        Location::Kaggle(dataset) => {
            let kaggle = Kaggle::from_process(&dataset).ok()?.without_retries();
            Some(kaggle.describe(&dataset).ok()?.to_string())
        }
        Location::Hub(dataset) => {
            let hub = Hub::from_process(&dataset).ok()?.without_retries();
            if let Some(local) = hub.cached_dataset(&dataset) {
                return Some(format!("{} is in `{}`", dataset.at(&local.commit), local.folder.display()));
            }
            let remote = hub.list(&dataset).ok()?;
            let size = remote.bytes.map_or("of unknown size".to_owned(), progress::bytes);
            let dataset = dataset.at(&remote.commit);
            Some(format!("downloads the tables of {dataset} ({size}) into the Hugging Face cache"))
        }
        Location::Simulated(_) | Location::Path(_) => None,
    };
    config.source.parts().iter().filter_map(|part| describe(&part.source)).collect()
}
