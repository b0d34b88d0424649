//! The integration tests of `vision`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
mod files;
mod training;
mod transformers;
