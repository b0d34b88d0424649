//! The program `candling-predict`.

use std::process::ExitCode;

use artifacts::stage;
use clap::Parser;
use predict::cli::{PredictArgs, predict};

#[derive(Parser)]
#[command(name = "candling-predict", version)]
struct Args {
    #[command(flatten)]
    predict: PredictArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    stage::finish("predict", predict(&args.predict))
}
