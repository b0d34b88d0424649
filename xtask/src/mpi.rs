//! Whether the programs are built with the feature `mpi`.

use std::process::{Command, Stdio};

use artifacts::stage::Failure;

/// The features of a build with MPI.
pub(crate) const FEATURES: &str = "train/mpi,pipeline-tests/mpi";
/// The environment variable that makes xtask build with MPI, whatever it starts. Any value but the empty one does.
pub(crate) const VARIABLE: &str = "CANDLING_MPI";

/// Whether [`VARIABLE`] asks for a build with MPI.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Fails if this machine lacks a program that building with MPI or starting several processes needs. Building also needs
/// libclang, which is not checked.
pub(crate) fn check_installed() -> Result<(), Failure> {
    for program in ["mpicc", "mpirun"] {
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            return Err(Failure::failed(format!(
                "failed to run {program}; install MPI (Debian: apt-get install libopenmpi-dev openmpi-bin libclang-dev)"
            )));
        }
    }
    Ok(())
}
