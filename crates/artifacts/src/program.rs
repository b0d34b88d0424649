//! The main function of the programs `candling-ingest`, `candling-train` and so on.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Command};

use crate::failure::{Failure, finish};

/// Parses the arguments of the program `candling-NAME`, of which the first is ignored, and runs it. Prints the failure
/// and returns its exit code. A wrong argument ends the process.
pub fn run_program<A: Args>(
    name: &'static str,
    arguments: impl IntoIterator<Item = OsString>,
    run: fn(&A) -> Result<(), Failure>,
) -> ExitCode {
    let program = format!("candling-{name}");
    let command = Command::new(name).bin_name(&program).display_name(&program).version(env!("CARGO_PKG_VERSION"));
    let command = A::augment_args(command);
    let args = A::from_arg_matches(&command.get_matches_from(arguments)).unwrap_or_else(|error| error.exit());
    finish(name, run(&args))
}
