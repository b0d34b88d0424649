//! The integration tests of `autoencoder`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
mod diffusers;
mod files;
