//! The program `candling`: checks pictures, and trains and evaluates detectors.
//!
//! It works in any folder, without a checkout and without cargo. It contains the programs of all stages, the pipelines
//! and the protocols of benchmarks. A pipeline starts its stages as processes of their own, so that a stage leaves no
//! memory to the next and can be interrupted: `candling program train …` is the program `candling-train`.

mod built_in;
mod cli;
mod programs;
mod shell;
mod stages;

use std::ffi::OsString;
use std::process::ExitCode;

use artifacts::{command, names, stage};
use clap::Parser;
use orchestrator::{benchmark, pipeline, runs, sweep, tools};

use crate::cli::{Cli, Task};
use crate::programs::{Own, PROGRAM};

fn main() -> ExitCode {
    command::set_program("candling");
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == PROGRAM) {
        return programs::run(arguments);
    }
    let (name, result) = match Cli::parse().task {
        Task::Predict(args) => ("predict", predict::cli::predict(&args)),
        Task::Verify(args) => ("verify", predict::cli::verify(&args)),
        Task::Serve(args) => ("serve", serve::cli::serve(&args)),
        Task::Export(args) => ("export", export::cli::export(&args)),
        Task::Pipeline(args) => ("pipeline", pipeline::run(&Own, &args)),
        Task::Runs(args) => ("runs", runs::run(&args)),
        Task::Sweep(args) => ("sweep", sweep::run(&Own, &args)),
        Task::Ingest(command) => (names::INGEST, stages::run(names::INGEST, &command, ingest::cli::ingest)),
        Task::Train(command) => (names::TRAIN, stages::run(names::TRAIN, &command, train::cli::train)),
        Task::Evaluate(command) => (names::EVALUATE, stages::run(names::EVALUATE, &command, evaluate::cli::evaluate)),
        Task::Report(command) => (names::REPORT, stages::run(names::REPORT, &command, report::cli::report)),
        Task::Compare(_) => ("compare", tools::compare(&Own, rest())),
        Task::Judge(_) => ("judge", tools::judge(&Own, rest()).map(drop)),
        Task::Benchmark(_) => ("benchmark", benchmark::run(&Own, rest())),
        Task::Completions { shell } => ("completions", shell::print_completions(shell)),
        Task::Man { dir } => ("man", shell::write_man_pages(&dir)),
    };
    stage::finish(name, result)
}

/// Returns the arguments after the name of the command.
fn rest() -> Vec<OsString> {
    std::env::args_os().skip(2).collect()
}
