//! Runs the tools that are made of several programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use artifacts::schema::Comparison;
use artifacts::stage::{Failure, print_text};
use artifacts::{RunDir, names};

use crate::options::{has_help_option, take_option};
use crate::{Programs, process};

/// The programs of [`compare()`].
pub(crate) const COMPARE: [&str; 2] = ["compare", "compare-report"];

/// Runs a program with these arguments.
///
/// # Errors
/// The program fails.
pub fn run(programs: &dyn Programs, name: &str, rest: Vec<OsString>) -> Result<(), Failure> {
    programs.prepare(&[name])?;
    process::run(programs.command(name)?.args(rest))
}

/// Compares runs, and writes the HTML page into the folder of `compare.json`.
///
/// # Errors
/// The arguments are not valid, or the runs cannot be compared.
pub fn compare(programs: &dyn Programs, mut rest: Vec<OsString>) -> Result<(), Failure> {
    programs.prepare(&COMPARE)?;
    if has_help_option(&rest) {
        return process::run(programs.command("compare")?.args(rest));
    }
    let out = take_option(&mut rest, "--out")?.unwrap_or_else(|| Comparison::DEFAULT_DIR.into());
    process::run(programs.command("compare")?.args(rest).arg("--out").arg(&out))?;
    process::run(programs.command("compare-report")?.arg(&out))
}

/// Judges files of predictions, makes a report of each detector, and compares several detectors. Returns the runs of
/// the detectors.
///
/// # Errors
/// The arguments or the files of predictions are not valid.
pub fn judge(programs: &dyn Programs, rest: Vec<OsString>) -> Result<Vec<RunDir>, Failure> {
    programs.prepare(&[&["judge", names::REPORT], &COMPARE[..]].concat())?;
    if has_help_option(&rest) {
        process::run(programs.command("judge")?.args(rest))?;
        return Ok(Vec::new());
    }
    let run_dir = take_option(&mut rest.clone(), "--run-dir")?;
    // The folders are in the last line. Tables come before it.
    let mut last = String::new();
    process::run_reading(programs.command("judge")?.args(rest).arg("--print-runs"), |line| {
        let before = std::mem::replace(&mut last, format!("{line}\n"));
        print_text(&before).map(|_| ())
    })?;
    let runs: Vec<PathBuf> = serde_json::from_str(&last)
        .map_err(|error| Failure::failed(format!("the judge printed no folders of runs: {error}")))?;
    for run in &runs {
        process::run(programs.command(names::REPORT)?.arg("--run-dir").arg(run))?;
    }
    if runs.len() > 1 {
        let out = run_dir.map_or(Comparison::DEFAULT_DIR.into(), |dir| Path::new(&dir).join("compare"));
        process::run(programs.command("compare")?.args(&runs).arg("--out").arg(&out))?;
        process::run(programs.command("compare-report")?.arg(&out))?;
    }
    Ok(runs.into_iter().map(RunDir::new).collect())
}
