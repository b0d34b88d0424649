//! Where labelled images come from.
//!
//! A source is a list of files whose order depends on nothing but the source's content. It hands out bytes by index, so that
//! any number of threads can ask for them in any order.

mod archive;
mod error;
mod folder;
mod layout;
mod list;
mod name;
mod simulation;
mod table;
mod vocabulary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use artifacts::hash::{Digest, Hash};
use artifacts::{Label, Split};

pub use error::SourceError;

use crate::Config;
use crate::kaggle::{Dataset, Kaggle};
use crate::reject::Fault;
use crate::simulated::Spec;

/// A list of image files.
pub(crate) trait Source: Send + Sync {
    /// Number of files.
    fn len(&self) -> usize;

    /// What is known of file `index` without opening it.
    fn entry(&self, index: usize) -> Entry;

    /// The bytes of file `index`.
    fn read(&self, index: usize) -> Result<Vec<u8>, Fault>;

    /// What is equal for two files exactly if their bytes are.
    fn key(&self, index: usize) -> Result<Hash, Fault> {
        self.read(index).map(|bytes| Hash::of(&bytes))
    }

    /// Whether `key` is still that of a file whose BLAKE3 is `id`.
    fn is_key(&self, key: Hash, id: Hash) -> bool {
        key == id
    }

    /// The folder or the zip that paths are relative to; none where no file has such a path.
    fn place(&self) -> Option<&Path>;

    /// What the user should know of how the source is read.
    fn remark(&self) -> Option<String> {
        None
    }

    /// A digest that changes when a file is added, removed or changed, without reading the files.
    fn fingerprint(&self) -> Result<Hash, SourceError>;
}

/// What a source says of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where the source has it, with `/` between parts and without control characters.
    pub(crate) path: String,
    /// Its class, or why nothing says it.
    pub(crate) label: Result<Label, Fault>,
    /// The split it was given; none if it was given none.
    pub(crate) split: Option<Split>,
    /// The generator; empty for photographs and where nothing says it.
    pub(crate) generator: String,
}

/// What `ingest.source` names.
pub(crate) enum Kind<'a> {
    /// Images made here.
    Simulated(Spec),
    /// A data set on Kaggle.
    Kaggle(Dataset),
    /// Something on this machine.
    Local(&'a Path),
}

impl<'a> Kind<'a> {
    /// Reads `ingest.source`.
    pub(crate) fn parse(source: &'a str) -> Result<Kind<'a>, SourceError> {
        if let Some(parameters) = source.strip_prefix("simulated:") {
            return Ok(Kind::Simulated(parameters.parse()?));
        }
        if source.starts_with("kaggle:") {
            return Ok(Kind::Kaggle(source.parse()?));
        }
        Ok(Kind::Local(Path::new(source)))
    }
}

/// Opens what `config.source` names; a data set on Kaggle is downloaded if it is not here yet.
pub(crate) fn open(config: &Config) -> Result<Box<dyn Source>, SourceError> {
    match Kind::parse(&config.source)? {
        Kind::Simulated(spec) => Ok(Box::new(simulation::Simulation::new(spec))),
        Kind::Kaggle(dataset) => open_local(&Kaggle::of_process(&dataset)?.fetch(&dataset)?.path, config),
        Kind::Local(path) => open_local(path, config),
    }
}

fn open_local(path: &Path, config: &Config) -> Result<Box<dyn Source>, SourceError> {
    if path.is_dir() {
        return match folder::Folder::open(path, config) {
            // Without images, or with a few beside the tables that show what is in them.
            Err(error @ (SourceError::NoImages { .. } | SourceError::NoLabels { .. })) => match table::tables_in(path)?
            {
                tables if tables.is_empty() => Err(error),
                tables => Ok(Box::new(table::Table::open(path, tables, config)?)),
            },
            folder => Ok(Box::new(folder?)),
        };
    }
    if !path.exists() {
        return Err(SourceError::NotFound { source_name: path.display().to_string() });
    }
    match path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase).as_deref() {
        Some("zip") => Ok(Box::new(archive::Archive::open(path, config)?)),
        Some("csv") => Ok(Box::new(list::List::open(path, config)?)),
        Some("parquet") => {
            let folder = path.parent().unwrap_or(Path::new(""));
            Ok(Box::new(table::Table::open(folder, vec![path.to_owned()], config)?))
        }
        _ => Err(SourceError::UnknownKind { path: path.to_owned() }),
    }
}

/// A digest of what is in the source that `config` names, made without reading the images. A data set on Kaggle is known by
/// its name and version, since a version never changes.
pub(crate) fn fingerprint(config: &Config) -> Result<Hash, SourceError> {
    match Kind::parse(&config.source)? {
        Kind::Kaggle(dataset) => {
            let pinned = Kaggle::of_process(&dataset)?.pinned(&dataset)?;
            Ok(Digest::default().part("kaggle", pinned.to_string().as_bytes()).finish())
        }
        _ => open(config)?.fingerprint(),
    }
}

/// The splits that the images of a source will be in, with how many images are expected in each. Of what is to be downloaded
/// first only what is expected is known, and nothing of a source that cannot be opened.
pub(crate) fn splits(config: &Config) -> Option<BTreeMap<Split, Option<u64>>> {
    let expected = config.expected_splits();
    if let Kind::Kaggle(_) = Kind::parse(&config.source).ok()? {
        return Some(expected?.into_iter().map(|(split, images)| (split, Some(images))).collect());
    }
    let source = open(config).ok()?;
    let used = (0..source.len()).map(|index| source.entry(index)).filter(|entry| entry.label.is_ok());
    let mut splits: BTreeSet<Split> = used.map(|entry| config.split.or(entry.split).unwrap_or(Split::Train)).collect();
    let cuts = [(Split::Test, config.test_fraction), (Split::Val, config.val_fraction)];
    if config.split.is_none() && splits.contains(&Split::Train) {
        splits.extend(cuts.into_iter().filter(|(_, fraction)| *fraction > 0.0).map(|(split, _)| split));
    }
    let images = |split: &Split| expected.as_ref().and_then(|expected| expected.get(split).copied());
    Some(splits.into_iter().map(|split| (split, images(&split))).collect())
}

/// What should be known before the source is opened for the first time.
pub(crate) fn notice(config: &Config) -> Option<String> {
    let Ok(Kind::Kaggle(dataset)) = Kind::parse(&config.source) else { return None };
    // Where it cannot be had, the fingerprint could not be either, and has said why.
    let description = Kaggle::of_process(&dataset).and_then(|kaggle| kaggle.describe(&dataset)).ok()?;
    Some(description.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Expected;

    #[test]
    fn the_splits_are_known_beforehand() {
        let splits = |test: u32, test_fraction, split| {
            let source = format!("simulated:train=4,test={test},size=32");
            let config = Config { source, test_fraction, split, ..Config::default() };
            splits(&config).unwrap().into_keys().collect::<BTreeSet<Split>>()
        };
        use Split::{Test, Train, Val};
        assert_eq!(splits(2, 0.0, None), BTreeSet::from([Train, Val, Test]));
        assert_eq!(splits(0, 0.0, None), BTreeSet::from([Train, Val]));
        assert_eq!(splits(0, 0.2, None), BTreeSet::from([Train, Val, Test]));
        assert_eq!(splits(0, 0.2, Some(Test)), BTreeSet::from([Test]));
        let unknown = Config { source: "kaggle:owner/slug".to_owned(), ..Config::default() };
        assert_eq!(super::splits(&unknown), None);
        let expected = Expected { dataset: unknown.source.clone(), train: Some(10), ..Expected::default() };
        let known = super::splits(&Config { expected: Some(expected), ..unknown });
        assert_eq!(known, Some(BTreeMap::from([(Train, Some(7)), (Val, Some(1)), (Test, Some(2))])));
    }
}
