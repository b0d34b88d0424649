//! The integration tests of `ingest`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod align;
mod audit;
mod common;
mod keep_files;
mod kill;
mod parts;
mod real_data;
mod recipe;
mod selection;
mod several_sources;
mod simulated;
mod sources;
mod tables;
