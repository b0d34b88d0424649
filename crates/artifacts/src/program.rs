//! The main function of the programs `candling-ingest`, `candling-train` and so on.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Command};

use crate::command;
use crate::failure::{Failure, finish};

/// Parses the arguments of the program `candling-NAME`, of which the first is ignored, and runs it. Prints the failure
/// and returns its exit code. A wrong argument ends the process. The help names the command that starts the program,
/// e.g. `cargo xtask train`.
pub fn run_program<A: Args>(
    name: &'static str,
    arguments: impl IntoIterator<Item = OsString>,
    run: fn(&A) -> Result<(), Failure>,
) -> ExitCode {
    let parser = Command::new(name).bin_name(command::line(name)).display_name(format!("candling-{name}"));
    let parser = A::augment_args(parser.version(env!("CARGO_PKG_VERSION")));
    let args = A::from_arg_matches(&parser.get_matches_from(arguments)).unwrap_or_else(|error| error.exit());
    finish(name, run(&args))
}
