//! The images that should have predictions, from a source, from shards, or from the rows themselves.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::{Digest, Hash};
use artifacts::schema::{IngestSummary, Omitted};
use artifacts::shard::{ShardSet, Shards};
use artifacts::{Label, Split, names};
use rayon::prelude::*;
use sources::Location;

use crate::input::Row;
use crate::paths::clean_path;
use crate::pictures::Pictures;
use crate::{Config, Error};

/// One image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Image {
    /// Its path in the source.
    pub(crate) path: String,
    /// BLAKE3 of its file, or of its path.
    pub(crate) id: Hash,
    /// Its class; `None` if the source does not know it.
    pub(crate) label: Option<Label>,
    /// Its split; `None` if the source does not know it.
    pub(crate) split: Option<Split>,
    /// Its generator; empty if unknown.
    pub(crate) generator: String,
}

/// The images that should have predictions.
#[derive(Default)]
pub(crate) struct Images {
    pub(crate) images: Vec<Image>,
    /// Name of the data set.
    pub(crate) dataset: String,
    pub(crate) simulated: bool,
    /// Whether ids are hashes of files.
    pub(crate) from_content: bool,
    /// Images whose file equals that of an earlier image.
    pub(crate) identical: Omitted,
    /// The pictures of the images.
    pub(crate) pictures: Pictures,
}

impl Images {
    /// Opens the images that the configuration names, or makes them from the rows.
    pub(crate) fn open(config: &Config, rows: &[&Row]) -> Result<Images, Error> {
        let Some(data) = &config.data else { return Ok(of_rows(rows)) };
        match config.shards() {
            Some(dir) => of_shards(&dir),
            None => of_source(data, config),
        }
    }
}

/// Lists the images of all splits of a folder of shards.
fn of_shards(dir: &Path) -> Result<Images, Error> {
    let set = ShardSet::open(dir)?;
    let summary: IngestSummary = serde_json::from_value(set.manifest().summary.clone())
        .map_err(|e| artifacts::Error::malformed(&dir.join(names::MANIFEST), "summary of ingest", e))?;
    let (mut images, mut places, mut of_splits) = (Vec::new(), Vec::new(), Vec::new());
    for split in Split::ALL.into_iter().filter(|split| set.has(*split)) {
        let shards = Shards::open(dir, split)?;
        places.extend((0..shards.len()).map(|row| (of_splits.len(), row)));
        images.extend(shards.samples().iter().map(|sample| Image {
            path: sample.path.clone(),
            id: sample.id,
            label: Some(sample.label),
            split: Some(split),
            generator: sample.generator.clone(),
        }));
        of_splits.push(shards);
    }
    Ok(Images {
        images,
        dataset: summary.source,
        simulated: summary.simulated,
        from_content: true,
        identical: Omitted::default(),
        pictures: Pictures::Shards(of_splits, places),
    })
}

/// Lists the images of a source, and reads their files for their hashes.
fn of_source(name: &str, config: &Config) -> Result<Images, Error> {
    let source = sources::open(&config.source(name))?;
    let ids: Vec<Option<Hash>> =
        (0..source.len()).into_par_iter().map(|index| source.read(index).ok().map(|bytes| Hash::of(&bytes))).collect();
    let mut images = Vec::with_capacity(ids.len());
    let mut files = Vec::with_capacity(ids.len());
    let mut by_id: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    let mut identical = Omitted::default();
    for (index, id) in ids.into_iter().enumerate() {
        let entry = source.entry(index);
        let id = id.unwrap_or_else(|| id_of_path(&entry.path));
        let label = entry.label.ok();
        // The copy that comes first is kept, as in ingest, so that both evaluate the same images.
        if let Some(&first) = by_id.get(id.as_bytes()) {
            let first: &mut Image = &mut images[first];
            if first.label != label {
                first.label = None;
            }
            identical.add(&entry.path);
            continue;
        }
        by_id.insert(*id.as_bytes(), images.len());
        files.push(index);
        images.push(Image { path: entry.path, id, label, split: entry.split, generator: entry.generator });
    }
    Ok(Images {
        images,
        dataset: name.to_owned(),
        simulated: matches!(Location::parse(name)?, Location::Simulated(_)),
        from_content: true,
        identical,
        pictures: Pictures::Source(source, files),
    })
}

/// Makes an image of each path or hash in the rows, sorted by path.
fn of_rows(rows: &[&Row]) -> Images {
    let mut by_name: BTreeMap<String, Image> = BTreeMap::new();
    for row in rows {
        let path = row.path.as_deref().map(clean_path);
        let name = path.clone().unwrap_or_else(|| row.name());
        let id = row.hash.unwrap_or_else(|| id_of_path(&name));
        by_name.entry(name.clone()).or_insert(Image {
            path: name,
            id,
            label: None,
            split: None,
            generator: String::new(),
        });
    }
    Images {
        images: by_name.into_values().collect(),
        dataset: "the images of the predictions".to_owned(),
        from_content: rows.iter().all(|row| row.hash.is_some()),
        ..Images::default()
    }
}

/// An id for an image whose file is not known.
fn id_of_path(path: &str) -> Hash {
    Digest::default().part("path", path.as_bytes()).finish()
}
