//! Sources of labelled images to preprocessed parquet shards, with an audit of the data set.
//!
//! Ingest reads the source twice, on all cores. The first pass hashes every file, to find duplicates and contradicting labels
//! and to assign splits. The second pass decodes and resizes the files that are used. If that shows that near-duplicates are
//! on both sides of a split that ingest made, the splits are assigned again and the second pass is repeated. Both passes hold
//! a bounded number of images in memory. The shards depend on the source and the configuration alone.

pub mod audit;
mod candidates;
mod config;
mod image;
mod in_order;
mod output;
mod rejection;
mod resplit;
mod select;
mod splits;
mod stage;

pub use config::{Config, Expected};
pub use stage::Ingest;
