//! Whether the stage programs are built for CUDA, and the toolkit that compiles their kernels.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::progress;
use artifacts::stage::Failure;
use clap::ValueEnum;

use crate::cuda_toolkit;

/// The features that `cargo` is given for a CUDA build.
pub(crate) const FEATURES: [&str; 2] = ["--features", "train/cuda,evaluate/cuda,benches/cuda"];

/// The oldest CUDA whose compiler knows all generations of cards that `crates/kernels/build.rs` names.
const OLDEST: (u32, u32) = (11, 8);

/// Whether to build for CUDA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// With CUDA; where no toolkit is installed, one is assembled from Python wheels
    On,
    /// Without
    Off,
    /// With CUDA where a toolkit (nvcc of CUDA 11.8 or later) is installed
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
        Choice::Off => Err(None),
        Choice::Auto => match installed() {
            Some(found) => found.map_err(Some),
            None => Err(Some("no nvcc is installed (--cuda on assembles a toolkit)".to_owned())),
        },
        Choice::On => Ok(installed_or_assembled()?),
    };
    match &toolkit {
        Ok(toolkit) => progress::line(&format!("building with CUDA: {toolkit}")),
        Err(None) => progress::line("building without CUDA"),
        Err(Some(reason)) => progress::line(&format!("building without CUDA: {reason}")),
    }
    Ok(toolkit.ok())
}

/// The toolkit that is installed, or one made of wheels where none is.
pub(crate) fn installed_or_assembled() -> Result<Toolkit, Failure> {
    installed().map_or_else(cuda_toolkit::assemble, |found| found.map_err(Failure::failed))
}

/// Fails unless there is a toolkit, or what one is assembled with.
pub(crate) fn obtainable() -> Result<(), Failure> {
    match installed() {
        Some(found) => found.map(drop).map_err(Failure::failed),
        None => cuda_toolkit::pip().map(drop),
    }
}

/// The toolkit that the environment names, else the one in the path, else the one in the usual place; or why that one
/// cannot be used.
fn installed() -> Option<Result<Toolkit, String>> {
    let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(|name| Some((std::env::var_os(name)?.into(), name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter_map(|bin| Some((bin.parent()?.to_owned(), "PATH")));
    let usual = (PathBuf::from("/usr/local/cuda"), "the usual place");
    let toolkit = first(named.chain(in_path).chain([usual]))?;
    let version = Command::new(nvcc(&toolkit.home)).arg("--version").output();
    let said = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    Some(match unusable(&said) {
        None => Ok(toolkit),
        Some(reason) => Err(format!("{toolkit} {reason}; name a newer toolkit in CUDA_HOME")),
    })
}

/// Why a compiler that says this of its version cannot be used, if so.
fn unusable(said: &str) -> Option<String> {
    let release = said.split_once("release ").and_then(|(_, rest)| rest.split([',', ' ', '\n']).next());
    let number = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    match release.and_then(number) {
        Some(version) if version >= OLDEST => None,
        Some((major, minor)) => {
            Some(format!("is of CUDA {major}.{minor}, and {}.{} or later is needed", OLDEST.0, OLDEST.1))
        }
        None => Some("does not say its version".to_owned()),
    }
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
    fn a_compiler_that_is_too_old_is_not_used() {
        let said =
            |release: &str| format!("nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, {release}\n");
        assert_eq!(unusable(&said("release 13.0, V13.0.88")), None);
        assert_eq!(unusable(&said("release 11.8, V11.8.89")), None);
        // Ubuntu 22.04's.
        let old = unusable(&said("release 11.5, V11.5.119")).unwrap();
        assert!(old.contains("CUDA 11.5") && old.contains("11.8"), "{old}");
        assert!(unusable("").unwrap().contains("version"));
    }

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
