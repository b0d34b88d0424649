//! `cargo xtask ci`: every check that a change must pass, and a summary of what ran.

mod summary;
mod test_results;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use artifacts::failure::print_text;
use artifacts::progress;
use artifacts::stage::Failure;
use orchestrator::process;
use testing::Need;

use self::summary::{Step, StepResult, summary};
use self::test_results::TestResults;
use crate::build::{self, Features};
use crate::programs::{cargo, root};
use crate::{cuda_check, mpi, tidy};

pub(crate) fn run() -> Result<(), Failure> {
    let mut ci = Ci {
        required: testing::required().map_err(|error| Failure::usage(error.to_string()))?,
        skip_record: root().join("target").join("ci-skips"),
        features: Features::plain(),
        steps: Vec::new(),
        tests: TestResults::default(),
    };
    let result = ci.run_steps();
    print_text(&summary(&ci.steps, &ci.tests))?;
    result
}

/// The arguments with which cargo tests the workspace. A failed test program does not stop the others.
const TEST: [&str; 4] = ["test", "--release", "--workspace", "--no-fail-fast"];

/// One run of all steps.
struct Ci {
    /// The needs of tests that this machine must meet (`CANDLING_REQUIRE`).
    required: Vec<Need>,
    /// The optional parts that everything is built with.
    features: Features,
    /// The file in which skipped tests are recorded.
    skip_record: PathBuf,
    /// The steps so far.
    steps: Vec<Step>,
    /// The results of the tests of all steps.
    tests: TestResults,
}

impl Ci {
    /// Runs the steps in order, up to the first that fails.
    fn run_steps(&mut self) -> Result<(), Failure> {
        // With MPI, everything is built with the feature `mpi`, so that nothing is compiled twice.
        let mpi = mpi::check_installed();
        if let Err(missing) = mpi {
            if self.required.contains(&Need::Mpi) {
                return Err(missing);
            }
            progress::line(&format!("without several processes: {}", missing.chain()));
        } else {
            self.features.mpi = true;
        }
        self.step("format", |_| process::run(&mut cargo(&["fmt", "--all", "--check"])))?;
        self.step("house rules", |_| tidy::run())?;
        self.step("lints", |ci| {
            let lints = ["clippy", "--release", "--workspace", "--all-targets"];
            process::run(cargo(&lints).args(ci.feature_arguments()).args(["--", "--deny", "warnings"]))
        })?;
        self.step("build", |ci| build::targets_of_workspace(&["--bins"], ci.features))?;
        // `--tests` leaves out examples, which `cargo test` would link only to check that they compile, as the lints have
        // checked, and programs with `test = false`, whose files contain no tests.
        self.step("tests", |ci| {
            ci.run_tests(&mut cargo(&[&TEST[..], ci.feature_arguments(), &["--tests"]].concat()))?;
            ci.run_tests(&mut cargo(&[&TEST[..], ci.feature_arguments(), &["--doc"]].concat()))
        })?;
        self.step("documentation", |ci| {
            let mut doc = cargo(&["doc", "--release", "--workspace", "--no-deps", "--quiet"]);
            process::run(doc.args(ci.feature_arguments()).env("RUSTDOCFLAGS", "--deny warnings"))
        })?;
        self.step("smoke pipeline", |ci| {
            // Use an empty run folder, so that every stage runs.
            let run_dir = root().join("target").join("ci-smoke");
            artifacts::atomic::remove_dir(&run_dir)?;
            let mut smoke = cargo(&["xtask", "--cuda", "off", "pipeline", "smoke"]);
            if ci.features.mpi {
                smoke.args(["--processes", "2"]);
            }
            process::run(smoke.arg("--run-dir").arg(&run_dir))
        })?;
        // This is the last step, because it builds some crates again with the feature `cuda`, and downloads a toolkit
        // if none is installed.
        const CUDA: &str = "CUDA, compiled and emulated";
        match cuda_check::missing_tool() {
            Some(missing) if self.required.iter().any(|need| [Need::Gxx, Need::CudaToolkit].contains(need)) => {
                self.step(CUDA, |_| Err(missing))
            }
            Some(missing) => {
                let reason = missing.chain();
                progress::line(&format!("== {CUDA}: skipped: {reason}"));
                self.steps.push(Step { name: CUDA, result: StepResult::Skipped(reason) });
                Ok(())
            }
            None => self.step(CUDA, |ci| cuda_check::run(|tests| ci.run_tests(tests))),
        }
    }

    /// The arguments of `cargo` that select the optional parts.
    fn feature_arguments(&self) -> &'static [&'static str] {
        if self.features.mpi { &["--features", mpi::FEATURES] } else { &[] }
    }

    /// Runs a step and records its result and the time it took.
    fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Ci) -> Result<(), Failure>) -> Result<(), Failure> {
        progress::line(&format!("== {name}"));
        let start = Instant::now();
        let result = work(self);
        let time = start.elapsed();
        progress::line(&format!("== {name}: {:.0} s", time.as_secs_f64()));
        let step_result = if result.is_ok() { StepResult::Passed(time) } else { StepResult::Failed(time) };
        self.steps.push(Step { name, result: step_result });
        result.map_err(|failure| Failure::failed(format!("{name}: {}", failure.chain())))
    }

    /// Runs a test command, such as `cargo test`. Prints each line of its output at once, and counts the tests in it.
    fn run_tests(&mut self, command: &mut Command) -> Result<(), Failure> {
        // An interrupted run may have left the file behind.
        if self.skip_record.exists() {
            fs::remove_file(&self.skip_record).map_err(Failure::failed)?;
        }
        let mut results = TestResults::default();
        let result = process::run_reading(command.env(testing::RECORD_FILE, &self.skip_record), |line| {
            results.read_line(line);
            print_text(&format!("{line}\n")).map(drop)
        });
        results.finish();
        if self.skip_record.exists() {
            let record = fs::read_to_string(&self.skip_record).map_err(Failure::failed)?;
            results.add_skips(testing::parse_records(&record));
        }
        self.tests.add(results);
        result
    }
}
