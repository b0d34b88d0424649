//! The interface of all sources.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::{Label, Split};

use crate::error::SourceError;
use crate::other_files::OtherFile;
use crate::rejection::Rejection;

/// A list of image files that can be read in any order and from any number of threads.
pub trait Source: Send + Sync {
    /// The number of files.
    fn len(&self) -> usize;

    /// Whether there are no files.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the path, label, split and generator of file `index` without opening it.
    fn entry(&self, index: usize) -> Entry;

    /// Reads the bytes of file `index`.
    ///
    /// # Errors
    /// The file cannot be read or is too long.
    fn read(&self, index: usize) -> Result<Vec<u8>, Rejection>;

    /// Returns a key that is equal for two files if and only if their bytes are equal. By default, this is the BLAKE3
    /// hash of the bytes. A source that can identify a file without producing its bytes may return another key.
    ///
    /// # Errors
    /// The errors of [`Source::read`].
    fn content_key(&self, index: usize) -> Result<Hash, Rejection> {
        self.read(index).map(|bytes| Hash::of(&bytes))
    }

    /// Returns the BLAKE3 hash of the bytes of file `index`, whose content key is `key`. `None` if the key is not that
    /// hash.
    fn id_of_key(&self, _index: usize, key: Hash) -> Option<Hash> {
        Some(key)
    }

    /// The folder or file that holds the source, for [`reopen`](crate::reopen). For a CSV list, this is the folder of
    /// the list. `None` for simulated sets.
    fn root(&self) -> Option<&Path>;

    /// The [`root`](Source::root) of each source, if this is several sources.
    fn roots(&self) -> Vec<Option<&Path>> {
        vec![self.root()]
    }

    /// Returns the index of the source that file `index` belongs to, if this is several sources.
    fn part(&self, _index: usize) -> usize {
        0
    }

    /// Returns the files that are not among the images of the source, sorted by path. Hidden files are left out.
    fn other_files(&self) -> &[OtherFile] {
        &[]
    }

    /// A message for the user about how the source is read.
    fn notice(&self) -> Option<String> {
        None
    }

    /// Returns a digest that changes when a file is added, removed or changed, computed without reading the files.
    ///
    /// # Errors
    /// The source cannot be read.
    fn fingerprint(&self) -> Result<Hash, SourceError>;
}

/// One file of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path in the source, with `/` between parts and without control characters.
    pub path: String,
    /// The label, or the reason why it cannot be determined.
    pub label: Result<Label, Rejection>,
    /// The split that the source assigns, if any.
    pub split: Option<Split>,
    /// The generator; empty for real images and where it is unknown.
    pub generator: String,
    /// The cells of the columns `ingest.report_columns`, by column. Empty cells are left out.
    pub columns: BTreeMap<String, String>,
    /// The cell of the column `ingest.group_column`; empty if there is none.
    pub group: String,
}
