//! Tables that are split into numbered parts: `train-00000-of-00003.parquet`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::SourceError;

/// The largest number of missing tables that an error names.
const LISTED: usize = 5;

/// The parts of the name of a table that is one of several.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The name of the whole table: `train`.
    pub(super) stem: &'a str,
    /// The number of this part, from 0, as written: `00000`.
    number: &'a str,
    /// The number of parts, as written: `00003`.
    count: &'a str,
}

impl<'a> Part<'a> {
    /// Parses the name of a table without its extension. A checksum may follow the number of parts. `None` if the table
    /// is not one of several.
    pub(super) fn of(name: &'a str) -> Option<Part<'a>> {
        let (before, after) = name.rsplit_once("-of-")?;
        let (stem, number) = before.rsplit_once('-').unwrap_or(("", before));
        let count = after.split_once('-').map_or(after, |(count, _)| count);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(number) && is_number(count)).then_some(Part { stem, number, count })
    }
}

/// Checks that no part of a table is missing.
///
/// # Errors
/// [`SourceError::MissingTables`].
pub(super) fn check(files: &[PathBuf]) -> Result<(), SourceError> {
    let mut found: BTreeMap<(&Path, &str, &str), BTreeSet<u64>> = BTreeMap::new();
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str());
        if let Some(Part { stem, number, count }) = name.and_then(Part::of) {
            let folder = file.parent().unwrap_or(Path::new(""));
            found.entry((folder, stem, count)).or_default().extend(number.parse::<u64>());
        }
    }
    for ((folder, stem, count), numbers) in found {
        // A count that is no number of this size cannot be that of the parts.
        let Ok(total) = count.parse::<u64>() else { continue };
        let missing = total.saturating_sub(numbers.range(..total).count() as u64);
        if missing == 0 {
            continue;
        }
        let width = count.len();
        let name = |number: u64| format!("`{stem}-{number:0width$}-of-{count}.parquet`");
        let mut names: Vec<String> =
            (0..total).filter(|number| !numbers.contains(number)).take(LISTED).map(name).collect();
        if missing > names.len() as u64 {
            names.push(format!("and {} more", missing - names.len() as u64));
        }
        let (missing, suffix) = (names.join(", "), format!("-of-{count}"));
        return Err(SourceError::MissingTables { path: folder.to_owned(), missing, suffix });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_names_of_parts() {
        let part = |stem, number, count| Some(Part { stem, number, count });
        assert_eq!(Part::of("train-00000-of-00003"), part("train", "00000", "00003"));
        assert_eq!(Part::of("a-b-1-of-2-0f9e"), part("a-b", "1", "2"));
        assert_eq!(Part::of("00001-of-00002"), part("", "00001", "00002"));
        for name in ["train", "best-of-both", "train-0-of-x", "train-of-3"] {
            assert_eq!(Part::of(name), None, "{name}");
        }
    }

    #[test]
    fn names_missing_parts() {
        let check = |names: &[&str]| {
            let files: Vec<PathBuf> = names.iter().map(|name| Path::new("data").join(name)).collect();
            check(&files).map_err(|error| error.to_string())
        };
        let whole = ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"];
        assert_eq!(check(&whole), Ok(()));
        assert_eq!(check(&["a.parquet", "0001.parquet"]), Ok(()));
        let message = check(&whole[1..]).unwrap_err();
        assert!(message.contains("`data`: `train-00000-of-00002.parquet`;"), "{message}");
        let message = check(&["x-00003-of-18446744073709551615.parquet"]).unwrap_err();
        assert!(
            message.contains("`x-00000000000000000004-of-") && message.contains("and 18446744073709551609 more"),
            "{message}"
        );
    }
}
