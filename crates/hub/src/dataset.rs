//! Names of data sets on the hub: `hf:datasets/owner/name[/folder][@revision]`.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::name::{DEFAULT_REVISION, Kind, Name, Parts, Repository, is_file_name};

/// The name of a data set, or of the tables in one of its folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    pub(crate) repository: Repository,
    /// The folder of the tables, with `/` between its parts; empty for all folders.
    pub(crate) folder: String,
    /// A branch, a tag or a commit.
    pub(crate) revision: String,
}

impl Dataset {
    /// The start of every such name.
    pub const PREFIX: &str = "hf:datasets/";

    /// Returns the name of one of its files.
    pub(crate) fn file(&self, file: &str, revision: &str) -> Name {
        Name { repository: self.repository.clone(), file: file.to_owned(), revision: revision.to_owned() }
    }

    /// Returns the data set at a commit.
    pub fn at(&self, commit: &str) -> Dataset {
        Dataset { revision: commit.to_owned(), ..self.clone() }
    }

    /// Whether a file of the repository is a table of this data set.
    pub(crate) fn has_table(&self, file: &str) -> bool {
        let below = match self.folder.as_str() {
            "" => Some(file),
            folder => file.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        below.is_some_and(|below| below.to_ascii_lowercase().ends_with(".parquet")) && file.split('/').all(is_file_name)
    }
}

impl FromStr for Dataset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Dataset, Error> {
        let bad = |reason: &'static str| Error::DatasetName { text: text.to_owned(), reason };
        let rest = text.strip_prefix(Dataset::PREFIX).ok_or_else(|| bad("it does not begin with `hf:datasets/`"))?;
        let Parts { repository, path, revision } = Parts::of(rest, Kind::Dataset).map_err(bad)?;
        let folder = path.unwrap_or_default();
        if !folder.is_empty() && !folder.split('/').all(is_file_name) {
            return Err(bad("the folder is not a path inside the data set"));
        }
        Ok(Dataset { repository, folder: folder.to_owned(), revision })
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dataset { repository, folder, revision } = self;
        write!(f, "{repository}")?;
        if !folder.is_empty() {
            write!(f, "/{folder}")?;
        }
        if revision == DEFAULT_REVISION { Ok(()) } else { write!(f, "@{revision}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_names() {
        for text in ["hf:datasets/o/n", "hf:datasets/o/n/default/train", "hf:datasets/o/n/a b@refs/pr/1"] {
            assert_eq!(text.parse::<Dataset>().unwrap().to_string(), text);
        }
        for text in [
            "hf:o/n",
            "hf:datasets/",
            "hf:datasets/o",
            "hf:datasets/../n",
            "hf:datasets/o/n/../x",
            "hf:datasets/o/n@",
            "hf:datasets/o/n@../x",
            "hf:datasets/o/n?x",
        ] {
            assert!(text.parse::<Dataset>().is_err(), "{text}");
        }
    }

    #[test]
    fn tables_are_parquet_files_below_the_folder() {
        let dataset: Dataset = "hf:datasets/o/n/data".parse().unwrap();
        for (file, is_table) in [
            ("data/train-00000-of-00001.parquet", true),
            ("data/a/b.PARQUET", true),
            ("database/a.parquet", false),
            ("a.parquet", false),
            ("data/README.md", false),
            ("data/../a.parquet", false),
            ("data//a.parquet", false),
        ] {
            assert_eq!(dataset.has_table(file), is_table, "{file}");
        }
    }
}
