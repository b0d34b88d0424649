//! Builds the programs that xtask runs.

use std::process::Stdio;

use artifacts::progress;
use artifacts::stage::Failure;
use orchestrator::process::run;

use crate::cuda::{self, CudaChoice, FEATURES};
use crate::programs::{cargo, root};

/// Builds the stage programs and tools, so that they match the sources.
pub(crate) fn all_programs(cuda: CudaChoice) -> Result<(), Failure> {
    programs_of_kinds(&["--bins"], cuda)
}

/// Builds all programs of these kinds: `--bins`, `--examples`.
///
/// All packages are built at once, so that programs and tests share one build of each dependency. xtask itself is
/// excluded because it is running. Without cargo, such as on a node of a cluster, or without sources, such as in a copy,
/// nothing is built, and the programs in the folder of this program are used.
pub(crate) fn programs_of_kinds(kinds: &[&str], cuda: CudaChoice) -> Result<(), Failure> {
    let missing = match (root().join("Cargo.toml").is_file(), has_cargo()) {
        (false, _) => Some("are no sources around xtask"),
        (true, false) => Some("is no cargo on this machine"),
        (true, true) => None,
    };
    if let Some(missing) = missing {
        progress::line(&format!("there {missing}: using the programs in the folder of xtask without building them"));
        return Ok(());
    }
    let mut build = cargo(&["build", "--release", "--workspace", "--exclude", "xtask"]);
    build.args(kinds);
    match cuda::decide(cuda)? {
        Some(toolkit) => run(toolkit.apply(build.args(FEATURES))),
        None => run(&mut build),
    }
}

/// Returns whether cargo is installed. `CARGO` is set if cargo started this program.
fn has_cargo() -> bool {
    let starts = || cargo(&["--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    std::env::var_os("CARGO").is_some() || starts()
}
