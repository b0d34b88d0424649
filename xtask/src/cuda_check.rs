//! `cargo xtask cuda-check`: compiles and lints the crates with the feature `cuda`, compiles the kernels with nvcc, and
//! tests the back end in emulation and, if the machine has a GPU, on the GPU.

use std::process::{Command, Stdio};

use artifacts::progress;
use artifacts::stage::Failure;
use orchestrator::process;

use crate::cuda::{self, FEATURES};
use crate::programs::cargo;

/// The features that build the tests of the CUDA back end in emulation.
const EMULATION: [&str; 2] = ["--features", "kernels/emulation,model/emulation,benches/emulation"];

/// Packages that are selected only for the features that they enable in shared dependencies. With these packages, the
/// dependencies have the same features as in a build of the whole workspace. Without them, cargo would compile candle,
/// arrow and parquet again.
///
/// `cargo tree -e normal,build,dev -f '{p} [{f}]'` shows the features of both selections.
const SHARED_FEATURES: [&str; 10] =
    ["-p", "artifacts", "-p", "report", "-p", "pipeline-tests", "-p", "provenance", "-p", "xtask"];

/// Runs the check. `run_tests` runs the test command.
pub(crate) fn run(run_tests: impl FnOnce(&mut Command) -> Result<(), Failure>) -> Result<(), Failure> {
    check_host_compiler()?;
    let toolkit = cuda::installed_or_assembled()?;
    progress::line(&format!("checking with {toolkit}"));
    let packages = ["-p", "kernels", "-p", "model", "-p", "train", "-p", "evaluate", "-p", "benches"];
    let mut clippy = cargo(&["clippy", "--release", "--all-targets"]);
    clippy.args(packages).args(SHARED_FEATURES).args(FEATURES).args(EMULATION).args(["--", "--deny", "warnings"]);
    process::run(toolkit.apply(&mut clippy))?;
    let mut tests =
        cargo(&["test", "--release", "--no-fail-fast", "-p", "kernels", "-p", "model", "-p", "benches", "--lib"]);
    tests.args(SHARED_FEATURES).args(EMULATION).args(["--", "cuda::", "device::", "card_norms::"]);
    run_tests(toolkit.apply(&mut tests))
}

/// Returns the reason why this machine cannot run the check, or `None` if it can.
pub(crate) fn missing_tool() -> Option<Failure> {
    check_host_compiler().and_then(|()| cuda::check_obtainable()).err()
}

/// Fails if there is no C++ compiler. nvcc needs it for the host code of kernel files, and the emulation is written in
/// C++. Without a compiler the tests would be skipped.
fn check_host_compiler() -> Result<(), Failure> {
    let mut version = Command::new("g++");
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    match version.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::failed(
            "failed to run g++, which compiles CUDA kernels and their emulation; install it (Debian: apt-get install g++)",
        )),
    }
}
