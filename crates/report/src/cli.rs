//! The command lines of the stage, and of the pages of a comparison and of a benchmark.

use std::path::PathBuf;

use artifacts::config::Override;
use artifacts::schema::Comparison;
use artifacts::stage::{self, Failure, StageArgs};
use artifacts::{names, progress};
use clap::Args;

use crate::stage::Report;
use crate::{benchmark, comparison};

/// Make the report of a run: an HTML page that works offline, its figures as SVG and PNG, its numbers as CSV, and a
/// model card
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The options of every stage.
    #[command(flatten)]
    pub stage: StageArgs,
    /// The heading of the page; short for --set report.title=TITLE
    #[arg(long, value_name = "TITLE")]
    pub title: Option<String>,
}

/// Runs the stage, unless its result is up to date.
///
/// # Errors
/// The arguments are not valid, or the stage fails.
pub fn report(args: &ReportArgs) -> Result<(), Failure> {
    let title = args.title.clone().map(|title| Override::of_option(names::REPORT, "title", title, "--title"));
    stage::execute::<Report>(&args.stage, title.into_iter().collect()).map(drop)
}

/// Make the page of a comparison that candling-compare wrote: an HTML page that works offline, its figures as SVG and
/// PNG, and its numbers as CSV
#[derive(Clone, Debug, Args)]
pub struct CompareReportArgs {
    /// The folder of the comparison, which has compare.json
    #[arg(value_name = "DIR", default_value = Comparison::DEFAULT_DIR)]
    pub dir: PathBuf,
}

/// Makes the page of a comparison.
///
/// # Errors
/// There is no valid comparison, or the page cannot be written.
pub fn compare_report(args: &CompareReportArgs) -> Result<(), Failure> {
    let page = comparison::write(&args.dir)?;
    progress::line(&format!("compare: {}", page.display()));
    Ok(())
}

/// Make the page of a benchmark that candling-benchmark listed: the scores of evaluations among those that were
/// published
#[derive(Clone, Debug, Args)]
pub struct BenchmarkReportArgs {
    /// The folder with benchmark.json
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The folders of evaluations on the benchmark, which have metrics.json
    #[arg(value_name = "EVALUATION", required = true)]
    pub evaluations: Vec<PathBuf>,
}

/// Makes the page of a benchmark.
///
/// # Errors
/// A file is missing or not valid, or the page cannot be written.
pub fn benchmark_report(args: &BenchmarkReportArgs) -> Result<(), Failure> {
    let page = benchmark::write(&args.dir, &args.evaluations)?;
    progress::line(&format!("benchmark: {}", page.display()));
    Ok(())
}
