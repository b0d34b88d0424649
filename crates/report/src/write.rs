//! Files of the report: figures with their numbers beside them.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::figures::Figure;
use crate::raster::Rasteriser;
use crate::table::Table;

/// Writes each figure as SVG and PNG with its numbers as CSV. `simulated`: whether the figures have to say so.
pub(crate) fn figures<'a>(
    dir: &Path,
    figures: impl IntoIterator<Item = &'a Figure>,
    simulated: bool,
) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(artifacts::Error::io("create", dir))?;
    let rasteriser = Rasteriser::new();
    for figure in figures {
        let svg = figure.standalone(simulated);
        file(&dir.join(format!("{}.png", figure.name)), &rasteriser.png(figure.name, &svg)?)?;
        file(&dir.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
        csv(dir, figure.name, &figure.numbers)?;
    }
    Ok(())
}

/// Writes a table as `NAME.csv`.
pub(crate) fn csv(dir: &Path, name: &str, table: &Table) -> Result<(), Error> {
    let csv = table.to_csv().map_err(|source| Error::Csv { name: name.to_owned(), source })?;
    file(&dir.join(format!("{name}.csv")), &csv)
}

/// Writes a file. Its folder appears as a whole when it is published, so it needs no care of its own.
pub(crate) fn file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    Ok(fs::write(path, bytes).map_err(artifacts::Error::io("write", path))?)
}
