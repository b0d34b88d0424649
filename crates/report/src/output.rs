//! Writes the files of a report: pages, figures and tables.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::figure::Figure;
use crate::svg_to_png::PngRenderer;
use crate::table::Table;

/// The folder of the figures and their numbers.
pub(crate) const FIGURES_DIR: &str = "figures";

/// Writes each figure as SVG and PNG, and its numbers as CSV, into the folder `dir`. Creates the folder. `mark` is
/// written on each figure.
pub(crate) fn write_figures<'a>(
    dir: &Path,
    figures: impl IntoIterator<Item = &'a Figure>,
    mark: Option<&str>,
) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(artifacts::Error::io("create", dir))?;
    let renderer = PngRenderer::new();
    for figure in figures {
        let svg = figure.svg_document(mark);
        write_file(&dir.join(format!("{}.png", figure.name)), &renderer.render(figure.name, &svg)?)?;
        write_file(&dir.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
        write_csv(dir, figure.name, &figure.numbers)?;
    }
    Ok(())
}

/// Writes a table as `NAME.csv`.
pub(crate) fn write_csv(dir: &Path, name: &str, table: &Table) -> Result<(), Error> {
    let csv = table.to_csv().map_err(|source| Error::Csv { name: name.to_owned(), source })?;
    write_file(&dir.join(format!("{name}.csv")), &csv)
}

/// Writes a file. This is not atomic, because the whole report folder is written under a temporary name and then
/// renamed.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    Ok(fs::write(path, bytes).map_err(artifacts::Error::io("write", path))?)
}
