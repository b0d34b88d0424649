//! `cargo xtask ci`: everything that must hold before a change lands.

use std::time::Instant;

use artifacts::progress;
use artifacts::stage::Failure;

use crate::cuda::CudaChoice;
use crate::programs::{self, cargo, root};
use crate::tidy;
use crate::{build, cuda_check};

pub(crate) fn run() -> Result<(), Failure> {
    step("format", || programs::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("house rules", tidy::run)?;
    step("lints", || {
        let lints = ["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"];
        programs::run(&mut cargo(&lints))
    })?;
    step("build", || build::all_programs(CudaChoice::Off))?;
    step("tests", || programs::run(&mut cargo(&["test", "--release", "--workspace"])))?;
    step("documentation", || {
        let mut doc = cargo(&["doc", "--release", "--workspace", "--no-deps", "--quiet"]);
        programs::run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    // As a user runs it, from the start: in its own run folder, and without the runs that earlier builds left there.
    let run_dir = root().join("target").join("ci-smoke");
    step("smoke pipeline", || {
        artifacts::atomic::remove_dir(&run_dir)?;
        let mut smoke = cargo(&["xtask", "--cuda", "off", "pipeline", "smoke"]);
        programs::run(smoke.arg("--run-dir").arg(&run_dir))
    })?;
    // Last, because it builds the dependencies with another feature, and downloads a toolkit where none is installed.
    if let Some(lack) = cuda_check::missing_tool() {
        progress::line(&format!("== CUDA, compiled and emulated: skipped, because {}", lack.chain()));
        return Ok(());
    }
    step("CUDA, compiled and emulated", cuda_check::run)
}

fn step(name: &str, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    progress::line(&format!("== {name}"));
    let start = Instant::now();
    work().map_err(|failure| Failure::failed(format!("{name}: {}", failure.chain())))?;
    progress::line(&format!("== {name}: {:.0} s", start.elapsed().as_secs_f64()));
    Ok(())
}
