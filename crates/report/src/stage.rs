//! The report as a stage of the pipeline.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::stage::{Failure, Job, Stage};
use artifacts::{RunDir, atomic, names, progress};
use serde_json::json;

use crate::config::Config;
use crate::error::Error;
use crate::figures::Figures;
use crate::output::{FIGURES_DIR, embed_downloads, write_csv, write_figures, write_file};
use crate::run_results::{self, RunResults};
use crate::{judged, model_card, page, tables};

/// The file name of the model card.
const MODEL_CARD: &str = "README.md";

/// The report stage.
#[derive(Debug)]
pub struct Report;

impl Stage for Report {
    const NAME: &'static str = names::REPORT;
    const VERSION: u32 = 1;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        config.validate()
    }

    fn inputs(run: &RunDir, _config: &Config) -> Result<BTreeMap<String, Hash>, Failure> {
        Ok(run_results::input_digests(run)?)
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        for surplus in job.run.surplus_train_runs() {
            let surplus = surplus.display();
            progress::line(&format!("report: `{surplus}` is left out, because train.runs does not include it"));
        }
        let results = RunResults::read(&job.run, &job.config)?;
        let writer = atomic::DirWriter::create(&job.run.report())?;
        let (page_bytes, count) = write_page(writer.path(), &results, &job.config)?;
        write_file(&writer.path().join(MODEL_CARD), model_card::render(&results, &job.config).as_bytes())?;
        for other in results.other_evaluations.iter().filter(|other| other.has_page) {
            let folder = writer.path().join(&other.name);
            std::fs::create_dir(&folder).map_err(artifacts::Error::io("create", &folder))?;
            let results = RunResults::of_evaluation(&job.run, &job.run.stage(&other.name), &job.config)?;
            write_page(&folder, &results, &job.config)?;
        }
        job.publish(writer, "cpu", json!({ "page_bytes": page_bytes, "figures": count }))?;
        progress::line(&format!("report: {}", job.run.page().display()));
        Ok(())
    }
}

/// Writes the page of an evaluation with its figures and tables. Returns the size of the page in bytes and the number of
/// figures.
fn write_page(dir: &Path, results: &RunResults, config: &Config) -> Result<(usize, usize), Error> {
    let figures = Figures::draw(results);
    write_figures_and_tables(&dir.join(FIGURES_DIR), results, &figures)?;
    let page = embed_downloads(&page::render(results, config, &figures)?, dir)?;
    write_file(&dir.join(names::PAGE), page.as_bytes())?;
    Ok((page.len(), figures.all().count()))
}

fn write_figures_and_tables(dir: &Path, results: &RunResults, figures: &Figures) -> Result<(), Error> {
    write_figures(dir, figures.all(), judged::figure_mark(&results.evaluation.metrics).as_deref())?;
    for (name, table) in tables::all(results) {
        write_csv(dir, name, &table)?;
    }
    Ok(())
}
