//! The program `candling-verify`.

use std::process::ExitCode;

use artifacts::stage;
use clap::Parser;
use predict::cli::{VerifyArgs, verify};

#[derive(Parser)]
#[command(name = "candling-verify", version)]
struct Args {
    #[command(flatten)]
    verify: VerifyArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    stage::finish("verify", verify(&args.verify))
}
