//! The programs that are measured: Candling's examples, and the peers' scripts.

use std::path::PathBuf;
use std::process::Command;

use artifacts::stage::Failure;

use super::args::Device;
use crate::build;
use crate::cuda::CudaChoice;
use crate::programs::root;

/// Builds what is measured: everything at once, so that it shares one build of each dependency with the stage programs.
pub(crate) fn build(device: Device) -> Result<(), Failure> {
    let cuda = match device {
        Device::Cpu => CudaChoice::Off,
        Device::Cuda => CudaChoice::On,
    };
    build::programs_of_kinds(&["--bins", "--examples"], cuda)
}

/// An example that was built: it stands beside this program.
pub(crate) fn example(name: &str) -> Result<PathBuf, Failure> {
    let here = std::env::current_exe().map_err(Failure::failed)?;
    Ok(here.with_file_name("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// A peer's script.
pub(crate) fn script(name: &str) -> PathBuf {
    root().join("xtask").join("peers").join(name)
}

/// Where benchmarks keep what they make.
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    let folder = root().join("target").join("bench");
    std::fs::create_dir_all(&folder).map_err(Failure::failed)?;
    Ok(folder)
}

/// Fails, before anything is built, on a machine that has no card.
pub(crate) fn check_card() -> Result<(), Failure> {
    let listed = Command::new("nvidia-smi").arg("-L").output();
    let by_tool = listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("GPU "));
    let by_driver = std::fs::read_dir("/proc/driver/nvidia/gpus").is_ok_and(|mut cards| cards.next().is_some());
    if by_tool || by_driver {
        return Ok(());
    }
    Err(Failure::failed(
        "there is no CUDA card on this machine (nvidia-smi lists none), so nothing can be measured with --device cuda; \
         `cargo xtask cuda-check` compiles and tests that code without a card",
    ))
}
