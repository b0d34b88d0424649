//! The integration tests of `evaluate`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bootstrap;
mod compare;
mod golden;
mod robustness;
mod stage;
