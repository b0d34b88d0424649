//! Images that are made while they are asked for.

use std::path::Path;

use artifacts::hash::{Digest, Hash};

use super::{Entry, Source, SourceError};
use crate::reject::Fault;
use crate::simulated::Spec;

/// A simulated set: nothing of it is stored.
pub(super) struct Simulation(Spec);

impl Simulation {
    pub(super) fn new(spec: Spec) -> Simulation {
        Simulation(spec)
    }
}

impl Source for Simulation {
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
        }
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Fault> {
        match self.0.sample(index as u64) {
            Ok(sample) => Ok(sample.jpeg),
            Err(error) => Err(Fault::unreadable(&error)),
        }
    }

    fn place(&self) -> Option<&Path> {
        None
    }

    /// No two pictures of a set are equal, so what makes a picture stands for its bytes, and it is made only once.
    fn key(&self, index: usize) -> Result<Hash, Fault> {
        Ok(digest(self.0).part("picture", &(index as u64).to_le_bytes()).finish())
    }

    fn is_key(&self, _key: Hash, _id: Hash) -> bool {
        true
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        Ok(digest(self.0).finish())
    }
}

fn digest(spec: Spec) -> Digest {
    Digest::default().part("simulated", spec.to_string().as_bytes())
}
