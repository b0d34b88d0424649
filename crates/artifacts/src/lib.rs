//! The on-disk contract every stage shares: the run folder, manifests, labels, shards, predictions,
//! configuration, and the random streams that make a run repeatable.
//!
//! A stage is a [`stage::Stage`]: it names its inputs, and writes its outputs through this crate, so that a
//! killed process leaves the old artifact or the new one, never half of one.
//!
//! The feature `tables` (on by default) adds the parquet artifacts; the orchestrator builds without it.

pub mod atomic;
#[cfg(feature = "tables")]
mod columns;
pub mod config;
mod error;
pub mod failure;
pub mod hash;
mod label;
mod manifest;
pub mod names;
#[cfg(feature = "tables")]
pub mod predictions;
pub mod progress;
pub mod random;
mod roc_auc;
mod run_dir;
pub mod schema;
#[cfg(feature = "tables")]
pub mod shard;
pub mod spreadsheet;
pub mod stage;
pub mod statistics;
pub mod text;

pub use error::{Error, Result};
pub use label::{Label, Split};
pub use manifest::{Code, Manifest, OutputFile};
pub use roc_auc::roc_auc;
pub use run_dir::{Checkpoint, RunDir};
