//! Feeds damaged copies of small valid files to the readers of files from outside, and reports readers that panic,
//! hang or use too much memory.
//!
//! Every input is computed from the seed, the target and its number, so that a failure can be repeated on any machine.
//! The readers run in a second process, whose memory is limited, and which may crash. The input of a failure is saved.

mod configuration;
mod corpus;
mod mutation;
mod supervisor;
mod target;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use artifacts::stage::{self, Failure};
use clap::Parser;

use crate::target::Target;

/// Feed damaged files and texts to the readers of images, metadata, data sets, weights, settings and headers.
#[derive(Debug, Parser)]
#[command(name = "candling-fuzz", version)]
struct Args {
    /// A reader (repeatable) [default: all of them, one after another]
    #[arg(long = "target", value_enum, value_name = "NAME")]
    targets: Vec<Target>,
    /// The time for all targets together, in seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seconds: u64,
    /// The seed of the damage
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// The folder for inputs that made a reader fail
    #[arg(long, value_name = "DIR", default_value = "fuzz-failures")]
    out: PathBuf,
    /// The folder of valid images and shards: `tests/golden` of the project
    #[arg(long, value_name = "DIR", default_value = "tests/golden")]
    corpus: PathBuf,
    /// Feed this file to the reader that --target names, without a limit on memory
    #[arg(long, value_name = "FILE", requires = "targets")]
    replay: Option<PathBuf>,
    /// Run the readers in this process, from this case on, and write the number of the current case to a file
    #[arg(long, hide = true, num_args = 3, value_names = ["CASE", "MILLISECONDS", "FILE"])]
    worker: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    stage::finish("fuzz", run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    let targets = if args.targets.is_empty() { Target::ALL.to_vec() } else { args.targets.clone() };
    if let Some(file) = &args.replay {
        return worker::replay(&targets, file);
    }
    match args.worker.as_deref() {
        Some([case, milliseconds, progress]) => {
            let number = |text: &String| text.parse::<u64>().map_err(Failure::usage);
            worker::run(&targets, args, number(case)?, number(milliseconds)?, progress.as_ref())
        }
        _ => supervisor::run(&targets, args),
    }
}
