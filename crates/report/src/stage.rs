//! The report as a stage of the pipeline.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::stage::{Failure, Job, Stage};
use artifacts::{RunDir, atomic, names, progress};
use serde_json::json;

use crate::card;
use crate::config::Config;
use crate::error::Error;
use crate::evidence::{self, Evidence};
use crate::figures::{self, Figures};
use crate::{page, write};

/// The model card.
const CARD: &str = "README.md";
/// The folder of figures and their numbers.
const FIGURES: &str = "figures";

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
        Ok(evidence::inputs(run)?)
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        for surplus in job.run.surplus_train_runs() {
            let surplus = surplus.display();
            progress::line(&format!("report: `{surplus}` is left out, because train.runs does not include it"));
        }
        let evidence = Evidence::read(&job.run, &job.config)?;
        let writer = atomic::DirWriter::create(&job.run.report())?;
        let figures = Figures::draw(&evidence);
        let page = page::render(&evidence, &job.config, &figures)?;
        write::file(&writer.path().join(names::PAGE), page.as_bytes())?;
        write::file(&writer.path().join(CARD), card::render(&evidence, &job.config).as_bytes())?;
        write_figures(&writer.path().join(FIGURES), &evidence, &figures)?;
        let count = figures.all().count();
        job.publish(writer, "cpu", json!({ "page_bytes": page.len(), "figures": count }))?;
        progress::line(&format!("report: {}", job.run.page().display()));
        Ok(())
    }
}

fn write_figures(dir: &Path, evidence: &Evidence, figures: &Figures) -> Result<(), Error> {
    write::figures(dir, figures.all(), evidence.evaluation.metrics.simulated)?;
    for (name, table) in figures::tables(evidence) {
        write::csv(dir, name, &table)?;
    }
    Ok(())
}
