//! `cargo xtask`: runs pipelines, single stages, the tests and the benchmarks.
//!
//! It links neither candle nor arrow, so it builds in seconds. The programs that it starts do the work.

mod bench;
mod benchmark;
mod build;
mod ci;
mod cli;
mod cuda;
mod cuda_check;
mod cuda_toolkit;
mod cuda_wheels;
mod pipeline;
mod preflight;
mod programs;
mod signals;
mod single;
mod tidy;

use std::process::ExitCode;

use artifacts::{names, stage};
use clap::Parser;

use crate::cli::{Cli, Task};

fn main() -> ExitCode {
    let Cli { task, cuda } = Cli::parse();
    let result = match task {
        Task::Pipeline(args) => pipeline::run(&args, cuda),
        Task::Ingest(args) => single::run(names::INGEST, args.rest, cuda),
        Task::Train(args) => single::run(names::TRAIN, args.rest, cuda),
        Task::Evaluate(args) => single::run(names::EVALUATE, args.rest, cuda),
        Task::Report(args) => single::run(names::REPORT, args.rest, cuda),
        Task::Predict(args) => single::predict(args.rest, cuda),
        Task::Compare(args) => single::compare(args.rest, cuda),
        Task::Judge(args) => single::judge(args.rest, cuda),
        Task::Benchmark(args) => benchmark::run(args.rest, cuda),
        Task::Bench(args) => bench::run(&args),
        Task::Ci => ci::run(),
        Task::CudaCheck => cuda_check::run(programs::run),
        Task::Fuzz(args) => single::fuzz(args.rest),
        Task::Tidy => tidy::run(),
    };
    stage::finish("xtask", result)
}
