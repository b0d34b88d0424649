//! Tests of several stages together, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod branches;
mod configuration;
mod kill;
mod learning;
mod onnx;
mod pipeline;
#[cfg(target_os = "linux")]
mod processes;
mod program;
mod python_page;
mod robustness;
mod several_runs;
mod stage_versions;
mod staleness;
mod sweep;
mod threads;
mod torchvision;
mod torture;
