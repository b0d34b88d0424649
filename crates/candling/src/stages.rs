//! Runs a single stage.

use artifacts::names;
use artifacts::stage::Failure;
use clap::Args;
use orchestrator::single;

use crate::cli::StageCommand;
use crate::programs::Own;
use crate::rest;

/// Runs a stage in this process, unless the orchestrator has to find its run, ingest its data or start several processes
/// first.
pub(crate) fn run<A: Args>(
    name: &'static str,
    command: &StageCommand<A>,
    stage: fn(&A) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let has = |option: &str| {
        let assigned = format!("{option}=");
        rest().iter().any(|word| word == option || word.to_string_lossy().starts_with(&assigned))
    };
    let by_orchestrator = match name {
        names::EVALUATE => has("--data"),
        names::TRAIN => has("--processes"),
        _ => false,
    };
    if command.pipeline.is_some() || by_orchestrator {
        return single::run(&Own, name, rest());
    }
    stage(&command.args)
}
