//! What tests need beyond Rust, and skips that CI counts.
//!
//! A test that needs something which this machine lacks calls [`skip`] and returns. The skip is printed and, under
//! `cargo xtask ci`, recorded for the summary. `CANDLING_REQUIRE=shared,chromium` turns the skips of these needs into
//! failures, so that CI notices when something disappears from its machine.
//!
//! The crate has no dependencies: `xtask` links it, and it must build in seconds.

mod need;
mod provided;
mod record;

pub use need::{Need, UnknownNeed, parse_list, required};
pub use provided::{make_fifos, peer_python, shared};
pub use record::{RECORD_FILE, Skipped, parse_records, skip};
