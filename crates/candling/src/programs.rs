//! The programs that this one contains.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use artifacts::stage::{Failure, exit, run_program};
use artifacts::{names, progress};
use orchestrator::{Programs, ProvidedFiles};

use crate::built_in::{BENCHMARKS, PIPELINES, PUBLISHED};

/// The first argument that makes `candling` one of the programs that it contains. It is not for users.
pub(crate) const PROGRAM: &str = "program";

/// The programs of `candling`, which it starts as processes of its own.
pub(crate) struct Own;

impl Programs for Own {
    fn prepare(&self, _names: &[&str]) -> Result<(), Failure> {
        Ok(())
    }

    fn command(&self, name: &str) -> Result<Command, Failure> {
        let mut command = Command::new(std::env::current_exe().map_err(Failure::failed)?);
        command.arg(PROGRAM).arg(name);
        Ok(command)
    }

    fn pipelines(&self) -> ProvidedFiles {
        ProvidedFiles::BuiltIn(PIPELINES)
    }

    fn benchmarks(&self) -> ProvidedFiles {
        ProvidedFiles::BuiltIn(BENCHMARKS)
    }

    fn published_results(&self) -> ProvidedFiles {
        ProvidedFiles::BuiltIn(PUBLISHED)
    }
}

/// Runs the program that the first of the arguments names with the other arguments.
pub(crate) fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let name = arguments.next().unwrap_or_default();
    // The parser ignores the first argument, which is usually the path of the program.
    let rest = std::iter::once(name.clone()).chain(arguments);
    match name.to_string_lossy().as_ref() {
        names::INGEST => run_program(names::INGEST, rest, ingest::cli::ingest),
        names::TRAIN => run_program(names::TRAIN, rest, train::cli::train),
        names::EVALUATE => run_program(names::EVALUATE, rest, evaluate::cli::evaluate),
        names::REPORT => run_program(names::REPORT, rest, report::cli::report),
        "compare" => run_program("compare", rest, evaluate::cli::compare),
        "compare-report" => run_program("compare-report", rest, report::cli::compare_report),
        "judge" => run_program("judge", rest, judge::cli::judge),
        "benchmark" => run_program("benchmark", rest, judge::cli::benchmark),
        "benchmark-report" => run_program("benchmark-report", rest, report::cli::benchmark_report),
        unknown => {
            progress::line(&format!("candling: error: it contains no program `{unknown}`"));
            ExitCode::from(exit::USAGE)
        }
    }
}
