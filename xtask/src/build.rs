//! Builds the programs that xtask runs.

use std::process::Stdio;

use artifacts::progress;
use artifacts::stage::Failure;
use orchestrator::process::run;

use crate::cuda::{self, CudaChoice};
use crate::mpi;
use crate::programs::{cargo, root};

/// The optional parts of the programs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    /// Whether they compute on CUDA cards.
    pub(crate) cuda: CudaChoice,
    /// Whether they train with several processes through MPI.
    pub(crate) mpi: bool,
}

impl Features {
    /// The features of programs that neither need a card nor start several processes.
    pub(crate) fn plain() -> Features {
        Features::with_cuda(CudaChoice::Off)
    }

    /// The features of programs that do not start several processes.
    pub(crate) fn with_cuda(cuda: CudaChoice) -> Features {
        Features { cuda, mpi: mpi::is_wanted() }
    }
}

/// Builds the programs `candling-NAME` with these names, so that they match the sources.
pub(crate) fn programs(names: &[&str], features: Features) -> Result<(), Failure> {
    let targets: Vec<String> = names.iter().flat_map(|name| ["--bin".to_owned(), format!("candling-{name}")]).collect();
    targets_of_workspace(&targets.iter().map(String::as_str).collect::<Vec<_>>(), features)
}

/// Builds these targets, such as `--bins`.
///
/// `--workspace` gives dependencies the features that all packages together need, so that each is compiled once,
/// whatever targets are built. xtask itself is excluded because it is running. Without cargo, such as on a node of a
/// cluster, or without sources, such as in a copy, nothing is built, and the programs in the folder of this program are
/// used.
pub(crate) fn targets_of_workspace(targets: &[&str], features: Features) -> Result<(), Failure> {
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
    build.args(targets);
    if features.mpi {
        build.args(["--features", mpi::FEATURES]);
    }
    match cuda::decide(features.cuda)? {
        Some(toolkit) => run(toolkit.apply(build.args(cuda::FEATURES))),
        None => run(&mut build),
    }
}

/// Returns whether cargo is installed. `CARGO` is set if cargo started this program.
fn has_cargo() -> bool {
    let starts = || cargo(&["--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    std::env::var_os("CARGO").is_some() || starts()
}
