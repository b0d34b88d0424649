//! The integration tests of `model`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod candle;
mod common;
mod determinism;
mod initial;
mod input;
mod pytorch;
mod weights;
