//! Finds an installed CUDA toolkit, whose compiler (nvcc) compiles the kernels.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest CUDA version whose compiler supports all GPU generations that the build script of the kernels names.
const OLDEST: (u32, u32) = (11, 8);

/// A CUDA toolkit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolkit {
    /// The folder with `bin/nvcc`.
    pub(crate) home: PathBuf,
    /// How it was found, for messages.
    pub(crate) origin: &'static str,
}

impl Toolkit {
    /// Sets `CUDA_HOME` of a cargo command, so that it compiles kernels with this toolkit.
    pub(crate) fn apply<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        cargo.env("CUDA_HOME", &self.home)
    }
}

impl fmt::Display for Toolkit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nvcc of {} ({})", self.home.display(), self.origin)
    }
}

/// Finds the toolkit that `CUDA_HOME` or `CUDA_PATH` names, otherwise the one in `PATH`, otherwise the one in
/// `/usr/local/cuda`. Returns `None` if there is none. The error is the reason why the found toolkit cannot be used.
pub(crate) fn installed() -> Option<Result<Toolkit, String>> {
    let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(|name| Some((std::env::var_os(name)?.into(), name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter_map(|bin| Some((bin.parent()?.to_owned(), "PATH")));
    let default = (PathBuf::from("/usr/local/cuda"), "the default location");
    let toolkit = first_with_compiler(named.chain(in_path).chain([default]))?;
    let version = Command::new(nvcc(&toolkit.home)).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    Some(match unsupported(&version) {
        None => Ok(toolkit),
        Some(reason) => Err(format!("{toolkit} {reason}; set CUDA_HOME to a newer toolkit")),
    })
}

/// Returns the path of the compiler in a toolkit.
pub(crate) fn nvcc(home: &Path) -> PathBuf {
    home.join("bin").join(format!("nvcc{}", std::env::consts::EXE_SUFFIX))
}

/// Returns why a compiler is not supported, from its output of `--version`.
fn unsupported(version: &str) -> Option<String> {
    let release = version.split_once("release ").and_then(|(_, rest)| rest.split([',', ' ', '\n']).next());
    let number = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    match release.and_then(number) {
        Some(version) if version >= OLDEST => None,
        Some((major, minor)) => {
            Some(format!("is of CUDA {major}.{minor}, but {}.{} or later is needed", OLDEST.0, OLDEST.1))
        }
        None => Some("prints no version".to_owned()),
    }
}

/// Returns the first of `candidates` that has a compiler.
fn first_with_compiler(candidates: impl IntoIterator<Item = (PathBuf, &'static str)>) -> Option<Toolkit> {
    let mut candidates = candidates.into_iter();
    candidates.find(|(home, _)| nvcc(home).is_file()).map(|(home, origin)| Toolkit { home, origin })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn rejects_old_compiler() {
        let version =
            |release: &str| format!("nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, {release}\n");
        assert_eq!(unsupported(&version("release 13.0, V13.0.88")), None);
        assert_eq!(unsupported(&version("release 11.8, V11.8.89")), None);
        // The version in Ubuntu 22.04.
        let old = unsupported(&version("release 11.5, V11.5.119")).unwrap();
        assert!(old.contains("CUDA 11.5") && old.contains("11.8"), "{old}");
        assert!(unsupported("").unwrap().contains("version"));
    }

    #[test]
    fn takes_first_folder_with_compiler() {
        let root = std::env::temp_dir().join(format!("candling-cuda-{}", std::process::id()));
        let (empty, whole) = (root.join("empty"), root.join("whole"));
        fs::create_dir_all(empty.join("bin")).unwrap();
        fs::create_dir_all(whole.join("bin")).unwrap();
        fs::write(nvcc(&whole), "").unwrap();
        let found = first_with_compiler([(empty.clone(), "CUDA_HOME"), (whole.clone(), "PATH")]);
        assert_eq!(found, Some(Toolkit { home: whole, origin: "PATH" }));
        assert_eq!(first_with_compiler([(empty, "CUDA_HOME")]), None);
        fs::remove_dir_all(root).unwrap();
    }
}
