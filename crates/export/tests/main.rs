//! The integration tests of `export`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
mod peers;
mod targets;
