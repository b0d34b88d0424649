//! The option `--cuda`: whether the programs are built with the feature `cuda`.

use artifacts::progress;
use artifacts::stage::Failure;
use clap::ValueEnum;

use crate::cuda_toolkit::{Toolkit, installed};
use crate::cuda_wheels;

/// The arguments of `cargo` for a build with CUDA.
pub(crate) const FEATURES: [&str; 2] = ["--features", "train/cuda,evaluate/cuda,benches/cuda"];

/// Whether to build with CUDA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CudaChoice {
    /// With CUDA; assembles a toolkit from Python wheels if none is installed
    On,
    /// Without CUDA
    Off,
    /// With CUDA if a toolkit (nvcc of CUDA 11.8 or later) is installed
    Auto,
}

/// Returns the toolkit to build with, or `None` to build without CUDA. Prints the decision and its reason.
pub(crate) fn decide(choice: CudaChoice) -> Result<Option<Toolkit>, Failure> {
    let toolkit = match choice {
        CudaChoice::Off => Err(None),
        CudaChoice::Auto => match installed() {
            Some(found) => found.map_err(Some),
            None => Err(Some("no nvcc is installed (--cuda on assembles a toolkit)".to_owned())),
        },
        CudaChoice::On => Ok(installed_or_assembled()?),
    };
    match &toolkit {
        Ok(toolkit) => progress::line(&format!("building with CUDA: {toolkit}")),
        Err(None) => progress::line("building without CUDA"),
        Err(Some(reason)) => progress::line(&format!("building without CUDA: {reason}")),
    }
    Ok(toolkit.ok())
}

/// Returns the installed toolkit. Assembles one from Python wheels if none is installed.
pub(crate) fn installed_or_assembled() -> Result<Toolkit, Failure> {
    installed().map_or_else(cuda_wheels::assemble, |found| found.map_err(Failure::failed))
}

/// Fails if no toolkit is installed and none can be assembled.
pub(crate) fn check_obtainable() -> Result<(), Failure> {
    match installed() {
        Some(found) => found.map(drop).map_err(Failure::failed),
        None => cuda_wheels::pip().map(drop),
    }
}
