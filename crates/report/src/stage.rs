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
use crate::output::{FIGURES_DIR, write_csv, write_figures, write_file};
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
        let figures = Figures::draw(&results);
        let page = page::render(&results, &job.config, &figures)?;
        write_file(&writer.path().join(names::PAGE), page.as_bytes())?;
        write_file(&writer.path().join(MODEL_CARD), model_card::render(&results, &job.config).as_bytes())?;
        write_figures_and_tables(&writer.path().join(FIGURES_DIR), &results, &figures)?;
        let count = figures.all().count();
        job.publish(writer, "cpu", json!({ "page_bytes": page.len(), "figures": count }))?;
        progress::line(&format!("report: {}", job.run.page().display()));
        Ok(())
    }
}

fn write_figures_and_tables(dir: &Path, results: &RunResults, figures: &Figures) -> Result<(), Error> {
    write_figures(dir, figures.all(), judged::figure_mark(&results.evaluation.metrics).as_deref())?;
    for (name, table) in tables::all(results) {
        write_csv(dir, name, &table)?;
    }
    Ok(())
}
