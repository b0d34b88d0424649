//! The detectors in the files of predictions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifacts::hash::{self, Hash};

use crate::Error;
use crate::input::{self, ColumnNames, Row};

/// A file of predictions.
#[derive(Debug)]
pub(crate) struct PredictionFile {
    pub(crate) path: PathBuf,
    pub(crate) digest: Hash,
    pub(crate) rows: Vec<Row>,
}

/// The rows of one detector.
#[derive(Debug, Default)]
pub(crate) struct Model<'a> {
    pub(crate) rows: Vec<&'a Row>,
    /// The files of the rows.
    pub(crate) files: Vec<&'a PredictionFile>,
}

/// Reads the files.
pub(crate) fn read(
    paths: &[PathBuf],
    columns: &ColumnNames,
    report_columns: &[String],
) -> Result<Vec<PredictionFile>, Error> {
    let file = |path: &PathBuf| {
        Ok(PredictionFile {
            path: path.clone(),
            digest: hash::file(path)?,
            rows: input::read(path, columns, report_columns)?,
        })
    };
    paths.iter().map(file).collect()
}

/// Groups the rows by detector: by the column `model`, otherwise by `name`, otherwise by the name of the file.
///
/// # Errors
/// Two files of the same name without a column `model`.
pub(crate) fn group<'a>(files: &'a [PredictionFile], name: Option<&str>) -> Result<BTreeMap<String, Model<'a>>, Error> {
    let mut models: BTreeMap<String, Model<'a>> = BTreeMap::new();
    let mut named_after: BTreeMap<String, &Path> = BTreeMap::new();
    for file in files {
        let default = name.map_or_else(|| stem(&file.path), str::to_owned);
        let is_named_after_file = name.is_none() && file.rows.iter().any(|row| row.model.is_none());
        if is_named_after_file && let Some(other) = named_after.insert(default.clone(), &file.path) {
            return Err(Error::Usage(format!(
                "`{}` and `{}` would both be the detector `{default}`; if they are of one detector, give its name with \
                 --name, otherwise rename one file",
                other.display(),
                file.path.display()
            )));
        }
        for row in &file.rows {
            let model = models.entry(row.model.clone().unwrap_or_else(|| default.clone())).or_default();
            model.rows.push(row);
            if model.files.last().is_none_or(|last| !std::ptr::eq(*last, file)) {
                model.files.push(file);
            }
        }
    }
    Ok(models)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| artifacts::text::visible(&stem.to_string_lossy())).unwrap_or_default()
}

/// Returns a name of a folder for a detector: letters, digits, `.`, `-` and `_`.
pub(crate) fn folder_name(model: &str) -> String {
    let dashed: String =
        model.chars().map(|c| if c.is_alphanumeric() || c == '_' || c == '.' { c } else { '-' }).collect();
    let name: String = dashed.trim_matches(|c| c == '-' || c == '.').chars().take(48).collect();
    if name.is_empty() { Hash::of(model.as_bytes()).short() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_are_safe() {
        assert_eq!(folder_name("UnivFD (ViT-L/14)"), "UnivFD--ViT-L-14");
        assert_eq!(folder_name("../../etc"), "etc");
        assert_eq!(folder_name("///").len(), Hash::of(b"").short().len());
    }
}
