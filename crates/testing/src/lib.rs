//! Requirements of tests beyond Rust (tools, hardware, data), skips that CI counts, and [`containers`] of metadata.
//!
//! If the machine does not meet a requirement ([`Need`]) of a test, the test calls [`skip`] and returns. The skip is
//! printed and, under `cargo xtask ci`, recorded for the summary. `CANDLING_REQUIRE=shared,chromium` turns skips for
//! these needs into failures, so that a need that disappears from the CI machine is noticed.
//!
//! The crate has no dependencies: `xtask` links it, and it must build in seconds.

pub mod containers;
mod need;
mod provided;
mod record;

pub use need::{Need, UnknownNeed, parse_list, required};
pub use provided::{make_fifos, peer_python, shared};
pub use record::{RECORD_FILE, Skipped, parse_records, skip};
