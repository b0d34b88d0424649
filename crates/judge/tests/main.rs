//! The integration tests of `judge`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod benchmarks;
mod files;
mod golden;
mod odd_inputs;
mod support;
mod table_benchmarks;
