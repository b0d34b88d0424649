//! Assembles a CUDA toolkit from Python wheels, for machines where none is installed.
//!
//! NVIDIA publishes the parts of its toolkit as wheels. Compiling kernels needs the compiler, its back end and the
//! headers, about 100 MB. The driver and cuDNN are loaded when a program starts, so nothing is linked and neither is
//! needed here.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use artifacts::stage::Failure;
use artifacts::{atomic, progress};
use orchestrator::process;

use crate::cuda_toolkit::{Toolkit, nvcc};
use crate::programs::root;

/// The wheels of the parts, all of one version.
const WHEELS: [&str; 5] = [
    "nvidia-cuda-nvcc==13.0.*",
    "nvidia-nvvm==13.0.*",
    "nvidia-cuda-crt==13.0.*",
    "nvidia-cuda-runtime==13.0.*",
    "nvidia-cuda-cccl==13.0.*",
];

/// The folder of the toolkit within the installed wheels.
const HOME_IN_WHEELS: &str = "nvidia/cu13";

/// Installs the wheels into `target/cuda-toolkit`, unless they are installed already.
pub(crate) fn assemble() -> Result<Toolkit, Failure> {
    let folder = root().join("target").join("cuda-toolkit");
    let toolkit = Toolkit { home: folder.join(HOME_IN_WHEELS), origin: "assembled from wheels" };
    let stamp = folder.join("wheels.txt");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == WHEELS.join("\n")) {
        return Ok(toolkit);
    }
    progress::line("assembling a CUDA toolkit from Python wheels (about 100 MB)");
    // The folder is renamed when it is complete, so that an interrupted download is not mistaken for a toolkit.
    let partial = folder.with_extension("partial");
    for old in [&partial, &folder] {
        atomic::remove_dir(old)?;
    }
    let mut install = pip()?;
    install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]);
    install.args(["--root-user-action", "ignore", "--target"]);
    install.arg(&partial).args(WHEELS);
    process::run(&mut install)?;
    check(&partial.join(HOME_IN_WHEELS))?;
    fs::write(partial.join("wheels.txt"), WHEELS.join("\n")).map_err(Failure::failed)?;
    fs::rename(&partial, &folder).map_err(Failure::failed)?;
    Ok(toolkit)
}

/// Returns a command that runs pip.
pub(crate) fn pip() -> Result<Command, Failure> {
    let candidates: [&[&str]; 3] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"]];
    let command = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    };
    let runs = |words: &&[&str]| {
        let mut version = command(words);
        version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    candidates.iter().find(|words| runs(words)).map(|words| command(words)).ok_or_else(|| {
        Failure::failed(
            "failed to assemble a CUDA toolkit: there is no Python with pip; install one, or a CUDA toolkit (nvcc)",
        )
    })
}

/// Fails unless the compiler in `home` runs.
fn check(home: &Path) -> Result<(), Failure> {
    let mut version = Command::new(nvcc(home));
    version.arg("--version").stdout(Stdio::null());
    process::run(&mut version)
}
