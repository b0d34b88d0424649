//! `cargo xtask cuda-check`: compiles and lints the crates with the feature `cuda`, compiles the kernels with nvcc, and tests
//! the back end in emulation and, if the machine has a GPU, on the GPU.

use std::process::{Command, Stdio};

use artifacts::progress;
use artifacts::stage::Failure;

use crate::cuda::{self, FEATURES};
use crate::programs::{self, cargo};

/// The features that compile the tests in emulation.
const EMULATION: [&str; 2] = ["--features", "kernels/emulation,model/emulation,benches/emulation"];

/// Packages that are selected only because they turn on features of shared dependencies. With them, the dependencies are
/// those of the whole workspace's build; without them, cargo would compile candle, arrow and parquet once more.
const SHARED_FEATURES: [&str; 6] = ["-p", "artifacts", "-p", "report", "-p", "pipeline-tests"];

/// Runs the check. `run_tests` runs the command that tests.
pub(crate) fn run(run_tests: impl FnOnce(&mut Command) -> Result<(), Failure>) -> Result<(), Failure> {
    check_host_compiler()?;
    let toolkit = cuda::installed_or_assembled()?;
    progress::line(&format!("checking with {toolkit}"));
    let packages = ["-p", "kernels", "-p", "model", "-p", "train", "-p", "evaluate", "-p", "benches"];
    let mut clippy = cargo(&["clippy", "--release", "--all-targets"]);
    clippy.args(packages).args(SHARED_FEATURES).args(FEATURES).args(EMULATION).args(["--", "--deny", "warnings"]);
    programs::run(toolkit.apply(&mut clippy))?;
    let mut tests =
        cargo(&["test", "--release", "--no-fail-fast", "-p", "kernels", "-p", "model", "-p", "benches", "--lib"]);
    tests.args(SHARED_FEATURES).args(EMULATION).args(["--", "cuda::", "device::", "card_norms::"]);
    run_tests(toolkit.apply(&mut tests))
}

/// Returns why this machine cannot run the check, if it cannot. Rust alone builds and tests everything else.
pub(crate) fn missing_tool() -> Option<Failure> {
    check_host_compiler().and_then(|()| cuda::check_obtainable()).err()
}

/// Fails if there is no C++ compiler. nvcc compiles the host code of a kernel file with it, and the emulation is C++. Without
/// it the tests would be skipped.
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
