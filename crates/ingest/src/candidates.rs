//! The first pass over a source, which hashes every file and lists the labelled ones.

use std::collections::BTreeMap;

use artifacts::hash::Hash;
use artifacts::progress::Progress;
use rayon::prelude::*;
use sources::{Rejection, Source};

use crate::select::Candidate;

/// The result of the first pass.
#[derive(Default)]
pub(crate) struct FirstPass {
    pub(crate) candidates: Vec<Candidate>,
    /// Unusable files: index in the source, content key if the file could be read, and the reason.
    pub(crate) rejected: Vec<(u32, Option<Hash>, Rejection)>,
}

/// The number of files that are hashed before their results are collected.
const CHUNK: usize = 4096;

/// Hashes every file of `source`. Separates labelled files from unusable ones.
pub(crate) fn first_pass(source: &dyn Source) -> FirstPass {
    let progress = Progress::new("ingest: hashing", "files", Some(source.len() as u64));
    let mut pass = FirstPass::default();
    let mut generators = BTreeMap::from([(String::new(), 0)]);
    for start in (0..source.len()).step_by(CHUNK) {
        let end = source.len().min(start + CHUNK);
        let keys: Vec<_> = (start..end)
            .into_par_iter()
            .map(|index| {
                let key = source.content_key(index);
                progress.add(1);
                key
            })
            .collect();
        for (index, key) in (start..end).zip(keys) {
            let entry = source.entry(index);
            let index = index as u32;
            match (key, entry.label) {
                (Err(rejection), _) => pass.rejected.push((index, None, rejection)),
                (Ok(key), Err(rejection)) => pass.rejected.push((index, Some(key), rejection)),
                (Ok(key), Ok(label)) => {
                    let next = generators.len() as u32;
                    let generator = *generators.entry(entry.generator).or_insert(next);
                    pass.candidates.push(Candidate { index, key, label, split: entry.split, generator });
                }
            }
        }
    }
    progress.finish();
    pass
}
