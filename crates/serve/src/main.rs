//! The program `candling-serve`.

use std::process::ExitCode;

use artifacts::stage;
use clap::Parser;
use serve::cli::{ServeArgs, serve};

/// Serve a page and a JSON API on 127.0.0.1 that check pictures.
///
/// Nothing leaves this machine, and nothing is stored. The address is printed to standard output. The program ends with
/// Ctrl-C.
///
/// Exit codes: 1 the program failed, 2 wrong usage, 3 the model is missing or damaged, 130 ended by SIGINT or SIGTERM.
#[derive(Parser)]
#[command(name = "candling-serve", version)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
}

fn main() -> ExitCode {
    stage::finish("serve", serve(&Args::parse().serve))
}
