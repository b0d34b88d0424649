//! The first pass over a source: what each file is labelled, and what identifies its bytes.

use std::collections::BTreeMap;

use artifacts::hash::Hash;
use artifacts::progress::Progress;
use rayon::prelude::*;

use crate::reject::Fault;
use crate::select::Candidate;
use crate::source::Source;

/// What the first pass found.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) candidates: Vec<Candidate>,
    /// Files that cannot be candidates: place in the source, digest where it could be read, and the reason.
    pub(crate) faults: Vec<(u32, Option<Hash>, Fault)>,
}

/// Files whose digests are taken between two looks at the results.
const CHUNK: usize = 4096;

/// Reads and hashes every file of `source`.
pub(crate) fn scan(source: &dyn Source) -> Scan {
    let progress = Progress::new("ingest: hashing", "files", Some(source.len() as u64));
    let mut scan = Scan::default();
    let mut generators = BTreeMap::from([(String::new(), 0)]);
    for start in (0..source.len()).step_by(CHUNK) {
        let end = source.len().min(start + CHUNK);
        let keys: Vec<_> = (start..end)
            .into_par_iter()
            .map(|index| {
                let key = source.key(index);
                progress.add(1);
                key
            })
            .collect();
        for (index, key) in (start..end).zip(keys) {
            let entry = source.entry(index);
            let index = index as u32;
            match (key, entry.label) {
                (Err(fault), _) => scan.faults.push((index, None, fault)),
                (Ok(key), Err(fault)) => scan.faults.push((index, Some(key), fault)),
                (Ok(key), Ok(label)) => {
                    let next = generators.len() as u32;
                    let generator = *generators.entry(entry.generator).or_insert(next);
                    scan.candidates.push(Candidate { index, key, label, split: entry.split, generator });
                }
            }
        }
    }
    progress.finish();
    scan
}
