//! The images in the rows of a table of a benchmark.

use std::path::Path;

use artifacts::Label;
use sources::{Entry, SourceConfig};

use super::listed_image::ListedImage;
use super::{Protocol, TableRule};
use crate::Error;

/// Returns the path and the image of each row of the table at the path `table` below `root`. The image is `None` if the
/// row has no class or no generator, or one that the protocol does not know.
///
/// # Errors
/// The table cannot be read, or has none of the columns that the rule names.
pub(super) fn read(
    protocol: &Protocol,
    rule: &TableRule,
    root: &Path,
    table: &str,
) -> Result<Vec<(String, Option<ListedImage>)>, Error> {
    let config = SourceConfig {
        source: root.join(table).to_string_lossy().into_owned().into(),
        label_column: Some(rule.label.clone()),
        // A source keeps the generators of fakes only, but each cell of these columns.
        report_columns: vec![rule.generator.clone()],
        ..SourceConfig::default()
    };
    let source = sources::open(&config)?;
    let rows = (0..source.len()).map(|row| {
        let path = format!("{table}/{row}");
        let image = image(protocol, rule, &path, &source.entry(row));
        (path, image)
    });
    Ok(rows.collect())
}

/// Returns the image of a row.
fn image(protocol: &Protocol, rule: &TableRule, path: &str, entry: &Entry) -> Option<ListedImage> {
    let label = entry.label.clone().ok()?;
    let generators = match label {
        Label::Real if !rule.own_reals => Vec::new(),
        _ => vec![protocol.generator(entry.columns.get(&rule.generator)?)?],
    };
    Some(ListedImage { path: path.to_owned(), label, split: rule.split, generators })
}
