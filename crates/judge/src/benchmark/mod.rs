//! Benchmarks of the field: which folders or tables of a data set mean what, and whether a copy of it is complete.
//!
//! A [`Protocol`] is a TOML file in `benchmarks/`. [`list`] finds the images of a copy, and [`write()`] writes them as a
//! CSV source that ingest, evaluate and judge read. [`read_published`] reads the results that others published.

mod listed_image;
mod listing;
mod pattern;
mod protocol;
mod published;
mod schema_version;
mod table_images;

pub use listed_image::ListedImage;
pub use listing::{GeneratorCounts, Listing, list, write};
pub use protocol::{Expected, ImageRule, Protocol, TableRule};
pub use published::read_published;
