//! The integration tests of `predict`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod agreement;
mod found_files;
mod hostile_files;
mod inputs;
mod model_names;
mod records;
