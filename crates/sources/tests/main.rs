//! The integration tests of `sources`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod kaggle;
mod listed_rows;
mod reopen;
