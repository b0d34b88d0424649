//! The integration tests of `artifacts`, as one program: each file is a module.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod metrics_doc;
mod shards;
