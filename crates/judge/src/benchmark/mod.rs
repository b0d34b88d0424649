//! Benchmarks of the field: which folders of a data set mean what, and whether a copy of it is complete.
//!
//! A [`Protocol`] is a TOML file in `benchmarks/`. [`list`] finds the images of a copy, and [`write()`] writes them as a
//! CSV source that ingest, evaluate and judge read. [`read_published`] reads the results that others published.

mod listing;
mod pattern;
mod protocol;
mod published;
mod schema_version;

pub use listing::{GeneratorCounts, ListedImage, Listing, list, write};
pub use protocol::{Expected, ImageRule, Protocol};
pub use published::read_published;
