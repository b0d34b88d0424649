//! Runs a single stage on a run.

use std::ffi::OsString;

use artifacts::names;
use artifacts::stage::Failure;

use crate::options::{has_help_option, take_option};
use crate::other_data::ingest_other_data;
use crate::{Programs, pipeline, process, processes};

/// Runs a stage program. `--pipeline NAME` selects the run folder of that pipeline. `--data SOURCE` of evaluate is
/// ingested first unless it is a folder of shards. `--processes N` of train starts N processes.
///
/// # Errors
/// The arguments are not valid, or the stage fails.
pub fn run(programs: &dyn Programs, stage: &str, mut rest: Vec<OsString>) -> Result<(), Failure> {
    programs.prepare(&[stage])?;
    if has_help_option(&rest) {
        return process::run(programs.command(stage)?.args(rest));
    }
    let mut provided = None;
    if let Some(name) = take_option(&mut rest, "--pipeline")? {
        let file = provided.insert(pipeline::pipeline_file(&programs.pipelines(), &name.to_string_lossy())?).path();
        let run = pipeline::default_run(file);
        rest.extend(["--run-dir".into(), run.path().into()]);
        if !run.config().exists() {
            rest.extend(["--config".into(), file.into()]);
        }
    }
    if stage == names::EVALUATE
        && let Some(source) = take_option(&mut rest, "--data")?
    {
        let shards = ingest_other_data(programs, &source, &mut rest)?;
        rest.extend(["--data".into(), shards.into()]);
    }
    let processes = match stage {
        names::TRAIN => take_option(&mut rest, "--processes")?,
        _ => None,
    };
    let mut command = programs.command(stage)?;
    command.args(rest);
    match processes {
        Some(number) => processes::run(&command, processes::parse(&number.to_string_lossy())?),
        None => process::run(&mut command),
    }
}
