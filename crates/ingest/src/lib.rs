//! Sources of labelled images (folders, zip, CSV, parquet tables, Kaggle, simulated) to preprocessed parquet shards.
//!
//! Two passes over the source, both on all cores: the first hashes every file, so that copies and contradictions are known
//! and the splits can be decided; the second decodes and resizes what is used. Where that shows that a split was cut from the
//! training images through some that are nearly the same, the cut is made again, and the second pass too. Neither holds more
//! than a bounded number of images, and the shards depend on the source and the configuration alone.

pub mod audit;
mod config;
mod image;
mod in_order;
pub mod kaggle;
mod output;
mod recut;
mod reject;
mod scan;
mod select;
pub mod simulated;
mod source;
mod stage;

pub use config::{Config, Expected};
pub use source::SourceError;
pub use stage::Ingest;
