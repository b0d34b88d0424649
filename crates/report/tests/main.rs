//! The integration tests of `report`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod benchmark;
mod browser;
mod comparison;
mod report;
mod support;
