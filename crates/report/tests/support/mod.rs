//! Test support: the fixture of a run, the program and a browser.

pub(crate) mod audit;
pub(crate) mod browser;
pub(crate) mod comparison;
pub(crate) mod fixture;
pub(crate) mod scenes;

use std::process::{Command, Output};

use artifacts::RunDir;

/// Runs the program on a run with overrides such as `report.title=…`.
pub(crate) fn run_program(run: &RunDir, overrides: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candling-report"));
    command.arg("--run-dir").arg(run.path());
    for set in overrides {
        command.args(["--set", set]);
    }
    command.output().unwrap()
}

/// Runs the program, which must succeed.
pub(crate) fn render(run: &RunDir, overrides: &[&str]) {
    let output = run_program(run, overrides);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Reads a text file of the report.
pub(crate) fn read(run: &RunDir, name: &str) -> String {
    let path = run.report().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
