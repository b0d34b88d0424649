//! Several sources as one.

use std::path::Path;

use artifacts::Split;
use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;

use crate::error::SourceError;
use crate::other_files::OtherFile;
use crate::rejection::Rejection;
use crate::source::{Entry, Source};
use crate::source_list::{SourceList, SourcePart};

/// The files of several sources, one source after another. The path of a file starts with the name of its source.
pub(crate) struct Combined {
    parts: Vec<Part>,
    other_files: Vec<OtherFile>,
}

/// One of the sources.
struct Part {
    name: String,
    source: Box<dyn Source>,
    /// The index of its first file.
    start: usize,
    /// The split of all its files, if it is set.
    split: Option<Split>,
}

impl Combined {
    /// Opens each source with `open`, which gets its index.
    pub(crate) fn open(
        list: &SourceList,
        open: impl Fn(usize, &SourcePart) -> Result<Box<dyn Source>, SourceError>,
    ) -> Result<Combined, SourceError> {
        let mut combined = Combined { parts: Vec::new(), other_files: Vec::new() };
        let mut start = 0;
        for ((at, part), name) in list.parts().iter().enumerate().zip(list.names()) {
            let source = open(at, part)?;
            let name = visible(&name);
            let in_part = |file: &OtherFile| OtherFile { path: format!("{name}/{}", file.path), ..file.clone() };
            combined.other_files.extend(source.other_files().iter().map(in_part));
            let length = source.len();
            combined.parts.push(Part { name, source, start, split: part.split });
            start += length;
        }
        Ok(combined)
    }

    /// Returns the source of a file, and the index of the file in it.
    fn locate(&self, index: usize) -> (&Part, usize) {
        let part = &self.parts[self.part(index)];
        (part, index - part.start)
    }
}

impl Source for Combined {
    fn len(&self) -> usize {
        self.parts.last().map_or(0, |last| last.start + last.source.len())
    }

    fn entry(&self, index: usize) -> Entry {
        let (part, index) = self.locate(index);
        let entry = part.source.entry(index);
        Entry { path: format!("{}/{}", part.name, entry.path), split: part.split.or(entry.split), ..entry }
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Rejection> {
        let (part, index) = self.locate(index);
        part.source.read(index)
    }

    fn content_key(&self, index: usize) -> Result<Hash, Rejection> {
        let (part, index) = self.locate(index);
        part.source.content_key(index)
    }

    fn id_of_key(&self, index: usize, key: Hash) -> Option<Hash> {
        let (part, index) = self.locate(index);
        part.source.id_of_key(index, key)
    }

    fn root(&self) -> Option<&Path> {
        None
    }

    fn roots(&self) -> Vec<Option<&Path>> {
        self.parts.iter().map(|part| part.source.root()).collect()
    }

    fn part(&self, index: usize) -> usize {
        // A source without files starts where the next one starts.
        self.parts.partition_point(|part| part.start <= index).saturating_sub(1)
    }

    fn other_files(&self) -> &[OtherFile] {
        &self.other_files
    }

    fn notice(&self) -> Option<String> {
        let notices: Vec<String> =
            self.parts.iter().filter_map(|part| Some(format!("{}: {}", part.name, part.source.notice()?))).collect();
        (!notices.is_empty()).then(|| notices.join("; "))
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        combine(self.parts.iter().map(|part| part.source.fingerprint()))
    }
}

/// Returns the fingerprint of several sources.
pub(crate) fn combine(parts: impl Iterator<Item = Result<Hash, SourceError>>) -> Result<Hash, SourceError> {
    let mut digest = Digest::default();
    for part in parts {
        digest = digest.part("source", part?.as_bytes());
    }
    Ok(digest.finish())
}
