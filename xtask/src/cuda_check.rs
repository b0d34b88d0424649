//! `cargo xtask cuda-check`: everything with the feature `cuda`, compiled and linted, its kernels compiled by nvcc and
//! tested in emulation; with a card, on the card as well.

use artifacts::progress;
use artifacts::stage::Failure;

use crate::cuda::{self, FEATURES};
use crate::programs::{self, cargo};

pub(crate) fn run() -> Result<(), Failure> {
    let toolkit = cuda::installed_or_assembled()?;
    progress::line(&format!("checking with {toolkit}"));
    let mut clippy = cargo(&["clippy", "--release", "-p", "model", "-p", "train", "-p", "evaluate", "--all-targets"]);
    clippy.args(FEATURES).args(["--", "--deny", "warnings"]);
    programs::run(toolkit.apply(&mut clippy))?;
    let mut tests = cargo(&["test", "--release", "-p", "model", "--lib", "--features", "cuda", "cuda::"]);
    programs::run(toolkit.apply(&mut tests))
}
