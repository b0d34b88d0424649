//! Whether the stage programs are built for CUDA, and the toolkit that compiles their kernels.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::progress;
use artifacts::stage::Failure;
use clap::ValueEnum;

use crate::cuda_toolkit;

/// The features that `cargo` is given for a CUDA build.
pub(crate) const FEATURES: [&str; 2] = ["--features", "train/cuda,evaluate/cuda"];

/// Whether to build for CUDA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// With CUDA; where no toolkit is installed, one is assembled from Python wheels
    On,
    /// Without
    Off,
    /// With CUDA where a toolkit (nvcc) is installed
    Auto,
}

/// A CUDA toolkit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolkit {
    /// The folder with `bin/nvcc`.
    pub(crate) home: PathBuf,
    /// How it was found.
    pub(crate) origin: &'static str,
}

impl Toolkit {
    /// Has `cargo` compile kernels with it.
    pub(crate) fn apply<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        cargo.env("CUDA_HOME", &self.home)
    }
}

impl fmt::Display for Toolkit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nvcc of {} ({})", self.home.display(), self.origin)
    }
}

/// Settles `choice`, and says what it was settled to and why.
pub(crate) fn decide(choice: Choice) -> Result<Option<Toolkit>, Failure> {
    let toolkit = match choice {
        Choice::Off => {
            progress::line("building without CUDA");
            return Ok(None);
        }
        Choice::Auto => installed(),
        Choice::On => Some(installed_or_assembled()?),
    };
    match &toolkit {
        Some(toolkit) => progress::line(&format!("building with CUDA: {toolkit}")),
        None => progress::line("building without CUDA: no nvcc is installed (--cuda on assembles a toolkit)"),
    }
    Ok(toolkit)
}

/// The toolkit that is installed, or one made of wheels.
pub(crate) fn installed_or_assembled() -> Result<Toolkit, Failure> {
    installed().map_or_else(cuda_toolkit::assemble, Ok)
}

/// Fails unless there is a toolkit, or what one is assembled with.
pub(crate) fn obtainable() -> Result<(), Failure> {
    installed().map_or_else(|| cuda_toolkit::pip().map(drop), |_| Ok(()))
}

/// The toolkit that the environment names, else the one in the path, else the one in the usual place.
fn installed() -> Option<Toolkit> {
    let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(|name| Some((std::env::var_os(name)?.into(), name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter_map(|bin| Some((bin.parent()?.to_owned(), "PATH")));
    let usual = (PathBuf::from("/usr/local/cuda"), "the usual place");
    first(named.chain(in_path).chain([usual]))
}

/// The first of `candidates` that has a compiler.
fn first(candidates: impl IntoIterator<Item = (PathBuf, &'static str)>) -> Option<Toolkit> {
    let mut candidates = candidates.into_iter();
    candidates.find(|(home, _)| nvcc(home).is_file()).map(|(home, origin)| Toolkit { home, origin })
}

/// The compiler of the toolkit in `home`.
pub(crate) fn nvcc(home: &Path) -> PathBuf {
    home.join("bin").join(format!("nvcc{}", std::env::consts::EXE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_folder_with_a_compiler_is_taken() {
        let root = std::env::temp_dir().join(format!("candling-cuda-{}", std::process::id()));
        let (empty, whole) = (root.join("empty"), root.join("whole"));
        fs::create_dir_all(empty.join("bin")).unwrap();
        fs::create_dir_all(whole.join("bin")).unwrap();
        fs::write(nvcc(&whole), "").unwrap();
        let found = first([(empty.clone(), "CUDA_HOME"), (whole.clone(), "PATH")]);
        assert_eq!(found, Some(Toolkit { home: whole, origin: "PATH" }));
        assert_eq!(first([(empty, "CUDA_HOME")]), None);
        fs::remove_dir_all(root).unwrap();
    }
}
