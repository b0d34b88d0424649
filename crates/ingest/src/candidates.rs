//! The first pass over a source, which hashes every file and lists the labelled ones.

use std::collections::BTreeMap;

use artifacts::hash::{Digest, Hash};
use artifacts::progress::Progress;
use artifacts::stage::Failure;
use rayon::prelude::*;
use sources::{Rejection, Source};

use crate::image::Files;
use crate::select::Candidate;

/// The result of the first pass.
pub(crate) struct FirstPass {
    pub(crate) candidates: Vec<Candidate>,
    /// Indices of files with equal cells of `ingest.group_column`; only groups of at least two files.
    pub(crate) groups: Vec<Vec<u32>>,
    /// Unusable files: index in the source, hash of the bytes if it is known, and the reason.
    pub(crate) rejected: Vec<(u32, Option<Hash>, Rejection)>,
    /// A digest of the paths and contents of all files.
    pub(crate) content: Hash,
}

/// The number of files that are hashed before their results are collected.
const CHUNK: usize = 4096;

/// Hashes every file of `source`, whose contents are `files`. Separates labelled files from unusable ones.
///
/// # Errors
/// The source has more files than a `u32` can number.
pub(crate) fn first_pass(source: &dyn Source, files: &dyn Files) -> Result<FirstPass, Failure> {
    let length = count_files(source)?;
    let progress = Progress::new(files.title("hashing"), "files", Some(u64::from(length)));
    let (mut candidates, mut rejected) = (Vec::new(), Vec::new());
    let mut content = Digest::default();
    let mut generators = BTreeMap::from([(String::new(), 0)]);
    let mut groups: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for start in (0..length as usize).step_by(CHUNK) {
        let end = (length as usize).min(start + CHUNK);
        let keys: Vec<_> = (start..end)
            .into_par_iter()
            .map(|index| {
                let key = files.key(index);
                progress.add(1);
                key
            })
            .collect();
        for (index, key) in (start..end).zip(keys) {
            let entry = source.entry(index);
            let number = index as u32;
            content = match &key {
                Ok(key) => content.part(&entry.path, key.as_bytes()),
                Err(rejection) => content.part(&entry.path, rejection.reason.as_bytes()),
            };
            match (key, entry.label) {
                (Err(rejection), _) => rejected.push((number, None, rejection)),
                (Ok(key), Err(rejection)) => rejected.push((number, source.id_of_key(index, key), rejection)),
                (Ok(key), Ok(label)) => {
                    let next = generators.len() as u32;
                    let generator = *generators.entry(entry.generator).or_insert(next);
                    let part = source.part(index);
                    candidates.push(Candidate { index: number, key, label, split: entry.split, generator, part });
                    if !entry.group.is_empty() {
                        groups.entry(entry.group).or_default().push(number);
                    }
                }
            }
        }
    }
    progress.finish();
    let groups = groups.into_values().filter(|group| group.len() > 1).collect();
    Ok(FirstPass { candidates, groups, rejected, content: content.finish() })
}

/// Returns the number of files of a source.
///
/// # Errors
/// The source has more files than a `u32` can number.
pub(crate) fn count_files(source: &dyn Source) -> Result<u32, Failure> {
    u32::try_from(source.len()).map_err(|_| {
        Failure::input(format!("the source has {} files; ingest accepts at most {}", source.len(), u32::MAX))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sources::{Entry, SourceError};

    use super::*;
    use crate::Config;
    use crate::image::Originals;

    /// A source that claims to have a number of files.
    struct Claims(usize);

    impl Source for Claims {
        fn len(&self) -> usize {
            self.0
        }

        fn entry(&self, _: usize) -> Entry {
            unreachable!("no file is read")
        }

        fn read(&self, _: usize) -> Result<Vec<u8>, Rejection> {
            unreachable!("no file is read")
        }

        fn root(&self) -> Option<&Path> {
            None
        }

        fn fingerprint(&self) -> Result<Hash, SourceError> {
            unreachable!("no file is read")
        }
    }

    #[test]
    fn rejects_sources_with_more_files_than_can_be_numbered() {
        let source = Claims(u32::MAX as usize + 1);
        let files = Originals { source: &source, config: &Config::default(), aligner: None };
        let message = first_pass(&source, &files).err().map(|failure| failure.to_string());
        assert!(message.as_ref().is_some_and(|text| text.contains("4294967296 files")), "{message:?}");
    }
}
