//! The integration tests of `hub`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod datasets;
mod files;
