//! Detectors side by side: `compare.json` to a page with its figures and tables.

mod answer;
mod figures;
mod page;
mod tables;

use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::names::PAGE;
use artifacts::schema::{Comparison, Pair};

use crate::error::Error;
use crate::text::visible;
use crate::write;

/// Writes `report/` into the folder of a comparison, and returns the page's path.
///
/// # Errors
/// No comparison there, one that is not whole, or a folder that cannot be written.
pub fn write(dir: &Path) -> Result<PathBuf, Error> {
    let path = dir.join(Comparison::FILE);
    if !path.exists() {
        let advice = "run `cargo xtask compare RUN RUN` first".to_owned();
        return Err(artifacts::Error::Missing { artifact: "comparison".to_owned(), path, advice }.into());
    }
    let comparison: Comparison = atomic::read_versioned(&path, "comparison", Comparison::SCHEMA_VERSION)?;
    check(&comparison, &path)?;
    let target = dir.join(Comparison::REPORT);
    let writer = DirWriter::create(&target)?;
    let drawn = figures::Figures::draw(&comparison);
    let simulated = is_simulated(&comparison);
    write::file(&writer.path().join(PAGE), page::render(&comparison, &drawn).as_bytes())?;
    let figures = writer.path().join("figures");
    write::figures(&figures, drawn.all(), simulated)?;
    for (name, table) in tables::all(&comparison) {
        write::csv(&figures, name, &table)?;
    }
    writer.publish()?;
    Ok(target.join(PAGE))
}

/// A comparison whose parts do not name each other is not drawn.
fn check(comparison: &Comparison, path: &Path) -> Result<(), Error> {
    let entrants = comparison.detectors.len();
    let malformed = |detail: &str| Err(artifacts::Error::malformed(path, "comparison", detail.to_owned()).into());
    if entrants < 2 {
        return malformed("it has fewer than two entrants");
    }
    if comparison.pairs.iter().any(|pair| pair.first.max(pair.second) >= entrants) {
        return malformed("a pair names an entrant that is not there");
    }
    if comparison.disagreements.iter().any(|image| image.p_fake.len() != entrants) {
        return malformed("a disagreement does not have a score of each entrant");
    }
    Ok(())
}

/// Whether any of it rests on simulated images.
fn is_simulated(comparison: &Comparison) -> bool {
    comparison.detectors.iter().any(|entrant| entrant.simulated)
}

/// What an entrant is called: the end of its name, which tells it from others, where it is long.
fn name(comparison: &Comparison, entrant: usize) -> String {
    const FITS: usize = 28;
    let name = visible(&comparison.detectors[entrant].name);
    let length = name.chars().count();
    if length <= FITS { name } else { std::iter::once('…').chain(name.chars().skip(length - FITS + 1)).collect() }
}

/// The two names of a pair.
fn names(comparison: &Comparison, pair: &Pair) -> [String; 2] {
    [pair.first, pair.second].map(|entrant| name(comparison, entrant))
}

/// A p-value, which is never rounded to nothing.
fn p_value(p: Option<f64>) -> String {
    match p.filter(|p| p.is_finite()) {
        None => crate::number::UNDEFINED.to_owned(),
        Some(p) if p < 0.0001 => "< 0.0001".to_owned(),
        Some(p) => format!("{p:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p_value_is_never_nothing() {
        assert_eq!([Some(0.5), Some(1e-9), None, Some(f64::NAN)].map(p_value).join("|"), "0.5000|< 0.0001|–|–");
    }
}
