//! `candling-compare-report`: makes the page of a comparison.

use std::path::PathBuf;
use std::process::ExitCode;

use artifacts::progress;
use artifacts::schema::Comparison;
use artifacts::stage::{self, Failure};
use clap::Parser;
use report::comparison;

/// Make the page of a comparison that candling-compare wrote: an HTML page that works offline, its figures as SVG and
/// PNG, and its numbers as CSV
#[derive(Parser)]
#[command(name = "candling-compare-report", version)]
struct Args {
    /// The folder of the comparison, which has compare.json
    #[arg(value_name = "DIR", default_value = Comparison::DEFAULT_DIR)]
    dir: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let written = comparison::write(&args.dir).map_err(Failure::from);
    stage::finish("compare", written.map(|page| progress::line(&format!("compare: {}", page.display()))))
}
