//! The programs of this workspace, as the orchestrator starts them.

use std::process::Command;

use artifacts::stage::Failure;
use orchestrator::{Programs, ProvidedFiles};

use crate::build::{self, Features};
use crate::programs::{program, root};

/// The programs of the workspace, which cargo builds.
pub(crate) struct Workspace {
    /// The optional parts that they are built with.
    pub(crate) features: Features,
}

impl Programs for Workspace {
    fn prepare(&self, names: &[&str]) -> Result<(), Failure> {
        build::programs(names, self.features)
    }

    fn command(&self, name: &str) -> Result<Command, Failure> {
        program(name)
    }

    fn pipelines(&self) -> ProvidedFiles {
        ProvidedFiles::Folder(root().join("pipelines"))
    }

    fn benchmarks(&self) -> ProvidedFiles {
        ProvidedFiles::Folder(root().join("benchmarks"))
    }

    fn published_results(&self) -> ProvidedFiles {
        ProvidedFiles::Folder(root().join("benchmarks/published"))
    }
}
