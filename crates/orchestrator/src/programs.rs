//! How the programs that do the work are started.

use std::process::Command;

use artifacts::stage::Failure;

use crate::provided::ProvidedFiles;

/// The programs that do the work, and the files that come with them. `cargo xtask` builds programs and starts them
/// from the folder beside it; `candling` contains them and starts itself.
pub trait Programs {
    /// Makes the programs with these names ready to start.
    ///
    /// # Errors
    /// They cannot be built.
    fn prepare(&self, names: &[&str]) -> Result<(), Failure>;

    /// Returns the command of a program: `ingest`, `train`, `evaluate`, `report`, `compare`, `compare-report`, `judge` and
    /// others.
    ///
    /// # Errors
    /// There is no such program.
    fn command(&self, name: &str) -> Result<Command, Failure>;

    /// Returns the pipelines.
    fn pipelines(&self) -> ProvidedFiles;

    /// Returns the protocols of benchmarks.
    fn benchmarks(&self) -> ProvidedFiles;

    /// Returns the results that were published on benchmarks.
    fn published_results(&self) -> ProvidedFiles;
}
