//! The programs of this workspace, as the orchestrator starts them.

use std::process::Command;

use artifacts::stage::Failure;
use orchestrator::{Programs, ProvidedFiles};

use crate::build;
use crate::cuda::CudaChoice;
use crate::programs::{program, root};

/// The programs of the workspace, which cargo builds.
pub(crate) struct Workspace {
    /// Whether they are built with CUDA.
    pub(crate) cuda: CudaChoice,
}

impl Programs for Workspace {
    fn prepare(&self, names: &[&str]) -> Result<(), Failure> {
        build::programs(names, self.cuda)
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
