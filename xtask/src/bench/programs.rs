//! Paths of the measured programs: Candling's benchmark programs and the peers' scripts.

use std::path::PathBuf;
use std::process::Command;

use artifacts::stage::Failure;

use super::options::Device;
use crate::build::{self, Features};
use crate::cuda::CudaChoice;
use crate::programs::root;

/// Builds the benchmark programs and the stage programs in one command, so that they share one build of each
/// dependency.
pub(crate) fn build(device: Device) -> Result<(), Failure> {
    let cuda = match device {
        Device::Cpu => CudaChoice::Off,
        Device::Cuda => CudaChoice::On,
    };
    build::targets_of_workspace(&["--bins", "--examples"], Features::with_cuda(cuda))
}

/// Returns the path of a benchmark program, in the folder `examples` beside this program.
pub(crate) fn example(name: &str) -> Result<PathBuf, Failure> {
    let here = std::env::current_exe().map_err(Failure::failed)?;
    Ok(here.with_file_name("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// Returns the path of a peer's script.
pub(crate) fn script(name: &str) -> PathBuf {
    root().join("xtask").join("peers").join(name)
}

/// Returns the folder for files that benchmarks write. Creates it if needed.
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    let folder = root().join("target").join("bench");
    std::fs::create_dir_all(&folder).map_err(Failure::failed)?;
    Ok(folder)
}

/// Checks that the machine has a CUDA card.
///
/// # Errors
/// It has none.
pub(crate) fn check_card() -> Result<(), Failure> {
    let listed = Command::new("nvidia-smi").arg("-L").output();
    let by_tool = listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("GPU "));
    let by_driver = std::fs::read_dir("/proc/driver/nvidia/gpus").is_ok_and(|mut cards| cards.next().is_some());
    if by_tool || by_driver {
        return Ok(());
    }
    Err(Failure::failed(
        "--device cuda needs a CUDA card, but nvidia-smi lists none; \
         `cargo xtask cuda-check` compiles and tests that code without a card",
    ))
}
