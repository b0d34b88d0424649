//! Runs a single stage.

use artifacts::names;
use artifacts::stage::Failure;
use clap::Args;
use orchestrator::single;

use crate::cli::StageCommand;
use crate::programs::Own;
use crate::rest;

/// Runs a stage in this process, unless the orchestrator has to find its run or ingest its data first.
pub(crate) fn run<A: Args>(
    name: &'static str,
    command: &StageCommand<A>,
    stage: fn(&A) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let names_data = || rest().iter().any(|word| word == "--data" || word.to_string_lossy().starts_with("--data="));
    if command.pipeline.is_some() || name == names::EVALUATE && names_data() {
        return single::run(&Own, name, rest());
    }
    stage(&command.args)
}
