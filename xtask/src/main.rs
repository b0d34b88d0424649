//! `cargo xtask`: runs pipelines, single stages, the tests and the benchmarks.
//!
//! It links neither candle nor arrow, so it builds in seconds. The programs that it starts do the work.

mod bench;
mod build;
mod ci;
mod cli;
mod cuda;
mod cuda_check;
mod cuda_toolkit;
mod cuda_wheels;
mod mpi;
mod programs;
mod tidy;
mod torture;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use artifacts::stage::Failure;
use artifacts::{names, stage};
use clap::Parser;
use orchestrator::{benchmark, pipeline, process, runs, single, sweep, tools};

use crate::build::Features;
use crate::cli::{Cli, Task};
use crate::workspace::Workspace;

fn main() -> ExitCode {
    let Cli { task, cuda } = Cli::parse();
    let workspace = Workspace { features: Features { cuda, mpi: task.starts_processes() || mpi::is_wanted() } };
    let result = match task {
        Task::Pipeline(args) => pipeline::run(&workspace, &args),
        Task::Ingest(args) => single::run(&workspace, names::INGEST, args.rest),
        Task::Train(args) => single::run(&workspace, names::TRAIN, args.rest),
        Task::Evaluate(args) => single::run(&workspace, names::EVALUATE, args.rest),
        Task::Report(args) => single::run(&workspace, names::REPORT, args.rest),
        Task::Predict(args) => tools::run(&workspace, "predict", args.rest),
        Task::Verify(args) => tools::run(&workspace, "verify", args.rest),
        Task::Export(args) => tools::run(&workspace, "export", args.rest),
        Task::Serve(args) => tools::run(&workspace, "serve", args.rest),
        Task::Compare(args) => tools::compare(&workspace, args.rest),
        Task::Judge(args) => tools::judge(&workspace, args.rest).map(drop),
        Task::Sweep(args) => sweep::run(&workspace, &args),
        Task::Runs(args) => runs::run(&args),
        Task::Benchmark(args) => benchmark::run(&workspace, args.rest),
        Task::Bench(args) => bench::run(&args),
        Task::Ci => ci::run(),
        Task::CudaCheck => cuda_check::run(process::run),
        Task::Fuzz(args) => fuzz(args.rest),
        Task::Torture(args) => torture::run(&args),
        Task::Tidy => tidy::run(),
    };
    stage::finish("xtask", result)
}

/// Feeds damaged copies of the golden files to the readers of files.
fn fuzz(rest: Vec<OsString>) -> Result<(), Failure> {
    build::programs(&["fuzz"], Features::plain())?;
    let golden = programs::root().join("tests").join("golden");
    process::run(programs::program("fuzz")?.arg("--corpus").arg(golden).args(rest))
}
