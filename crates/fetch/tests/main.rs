//! The integration tests of `fetch`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod download;
mod killed;
mod redirects;
mod tls;
