//! The integration tests of `provenance`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod credentials;
mod shared_faults;
mod shared_files;
