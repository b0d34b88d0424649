//! Turns a comparison of detectors (`compare.json`) into a page with figures and tables.

mod detector_names;
mod disagreements;
mod figures;
mod limitations;
mod page;
mod summary;
mod tables;
#[cfg(test)]
mod test_data;
mod thumbnails;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::command;
use artifacts::names::PAGE;
use artifacts::schema::Comparison;
use artifacts::text::dataset_name;

use crate::error::Error;
use crate::escape::visible;
use crate::output::{FIGURES_DIR, embed_downloads, write_csv, write_figures, write_file};
use crate::relative_path::leads_outside;

/// Writes `report/` into the folder of a comparison and returns the path of the page.
///
/// # Errors
/// Fails if the folder contains no comparison, if the comparison is inconsistent, or if the report cannot be written.
pub fn write(dir: &Path) -> Result<PathBuf, Error> {
    let path = dir.join(Comparison::FILE);
    if !path.exists() {
        let advice = format!("run `{}` first", command::line("compare RUN RUN"));
        return Err(artifacts::Error::Missing { artifact: "comparison".to_owned(), path, advice }.into());
    }
    let comparison: Comparison = atomic::read_versioned(&path, "comparison", Comparison::SCHEMA_VERSION)?;
    validate(&comparison, &path)?;
    let target = dir.join(Comparison::REPORT);
    let writer = DirWriter::create(&target)?;
    let figures = figures::Figures::draw(&comparison);
    let figures_dir = writer.path().join(FIGURES_DIR);
    write_figures(&figures_dir, figures.all(), uses_simulated_images(&comparison).then_some("simulated data"))?;
    for (name, table) in tables::all(&comparison) {
        write_csv(&figures_dir, name, &table)?;
    }
    let thumbnails = thumbnails::Thumbnails::read(dir, &comparison);
    let page = embed_downloads(&page::render(&comparison, &figures, &thumbnails), writer.path())?;
    write_file(&writer.path().join(PAGE), page.as_bytes())?;
    writer.publish()?;
    Ok(target.join(PAGE))
}

/// Checks that pairs and disagreements refer to detectors of the comparison.
fn validate(comparison: &Comparison, path: &Path) -> Result<(), Error> {
    let detectors = comparison.detectors.len();
    let malformed = |detail: &str| Err(artifacts::Error::malformed(path, "comparison", detail.to_owned()).into());
    if detectors < 2 {
        return malformed("it has fewer than two detectors");
    }
    if comparison.pairs.iter().any(|pair| pair.first.max(pair.second) >= detectors) {
        return malformed("a pair refers to a detector that does not exist");
    }
    if comparison.disagreements.iter().any(|image| image.p_fake.len() != detectors) {
        return malformed("a disagreement does not have one score for each detector");
    }
    if comparison.disagreements.iter().filter_map(|image| image.image.as_deref()).any(leads_outside) {
        return malformed("a thumbnail is outside the folder of the comparison");
    }
    Ok(())
}

/// Returns the names of the data sets that the detectors were evaluated on, sorted, each once.
fn datasets(comparison: &Comparison) -> Vec<String> {
    let names: BTreeSet<String> =
        comparison.detectors.iter().map(|detector| visible(&dataset_name(&detector.dataset))).collect();
    names.into_iter().collect()
}

/// Returns whether any detector was evaluated on simulated images.
fn uses_simulated_images(comparison: &Comparison) -> bool {
    comparison.detectors.iter().any(|detector| detector.simulated)
}
