//! A simulated set as a source. Each image is generated when it is read.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::{Digest, Hash};

use crate::error::SourceError;
use crate::rejection::Rejection;
use crate::simulated::SimulatedSet;
use crate::source::{Entry, Source};

/// The images of a simulated set.
pub(crate) struct SimulatedSource(SimulatedSet);

impl SimulatedSource {
    pub(crate) fn new(set: SimulatedSet) -> SimulatedSource {
        SimulatedSource(set)
    }
}

impl Source for SimulatedSource {
    fn len(&self) -> usize {
        self.0.len() as usize
    }

    fn entry(&self, index: usize) -> Entry {
        let entry = self.0.entry(index as u64);
        Entry {
            path: entry.path(),
            label: Ok(entry.label()),
            split: Some(entry.split),
            generator: entry.generator.map(|generator| generator.name().to_owned()).unwrap_or_default(),
            columns: BTreeMap::new(),
            group: String::new(),
        }
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Rejection> {
        match self.0.image(index as u64) {
            Ok(image) => Ok(image.jpeg),
            Err(error) => Err(Rejection::unreadable(&error)),
        }
    }

    fn root(&self) -> Option<&Path> {
        None
    }

    /// Returns a digest of the set and the index, which identify the content because all images of a set are different.
    /// Generating each image only to hash it would double the time of an ingest.
    fn content_key(&self, index: usize) -> Result<Hash, Rejection> {
        Ok(digest(self.0).part("picture", &(index as u64).to_le_bytes()).finish())
    }

    fn id_of_key(&self, _index: usize, _key: Hash) -> Option<Hash> {
        None
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        Ok(digest(self.0).finish())
    }
}

fn digest(set: SimulatedSet) -> Digest {
    Digest::default().part("simulated", set.to_string().as_bytes())
}
