//! The integration tests of `serve`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "tests of the report use the rest")]
#[path = "../../report/tests/support/browser.rs"]
mod browser;
mod hostile_requests;
mod http;
#[cfg(unix)]
mod model;
mod page;
#[cfg(unix)]
mod page_with_model;
mod support;
