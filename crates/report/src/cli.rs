//! The command lines of the stage, and of the page of a comparison.

use std::path::PathBuf;

use artifacts::config::Override;
use artifacts::schema::Comparison;
use artifacts::stage::{self, Failure, StageArgs};
use artifacts::{names, progress};
use clap::Args;

use crate::comparison;
use crate::stage::Report;

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
