//! The integration tests of `pixels`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod degradations;
mod golden;
mod hostile;
