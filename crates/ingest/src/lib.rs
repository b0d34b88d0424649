//! Conversion of sources of labelled images to parquet shards of preprocessed pixels, with an audit of the data set.
//!
//! Ingest reads the source twice, on all cores. The first pass hashes every file, to find duplicates and conflicting
//! labels and to assign splits. The second pass decodes and resizes the selected files and finds near-duplicates. If
//! ingest made a split and near-duplicates are on both sides of it, the splits are assigned again and the second pass
//! is repeated. Both passes hold a bounded number of images in memory. The shards depend only on the source and the
//! configuration.
//!
//! With `ingest.align`, photographs get pseudo-fakes, see `align`. They are made while their photographs are decoded, so
//! that the selection of files and the search for near-duplicates do not see them.
//!
//! A source that is too large for one machine is ingested in parts, see `parts`.

mod align;
pub mod audit;
mod candidates;
pub mod cli;
mod config;
mod disk_space;
mod image;
mod in_order;
mod output;
mod parts;
mod rejection;
mod resplit;
mod select;
mod splits;
mod stage;

pub use align::{AlignConfig, Band, DecoderName, FrequencyMix, PixelMix};
pub use config::{Config, Expected};
pub use parts::PartNumber;
pub use stage::Ingest;
