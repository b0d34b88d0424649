//! The formats on disk that all stages share: the run folder, manifests, labels, shards, predictions and configuration.
//! Also contains the random streams that make a run reproducible.
//!
//! A stage implements [`stage::Stage`]: it lists its inputs and writes its outputs through this crate. A killed process
//! therefore leaves the old artifact or the new one, never a part of one.
//!
//! The feature `tables` (on by default) adds the parquet artifacts. The orchestrator `xtask` builds without it.

pub mod atomic;
#[cfg(feature = "tables")]
mod columns;
pub mod command;
pub mod concerns;
pub mod config;
mod error;
pub mod failure;
pub mod hash;
pub mod interrupt;
mod label;
mod manifest;
pub mod names;
#[cfg(feature = "tables")]
mod parquet_file;
#[cfg(feature = "tables")]
pub mod predictions;
mod program;
pub mod progress;
pub mod random;
mod roc_auc;
mod run_dir;
mod run_lock;
pub mod run_toml;
pub mod schema;
#[cfg(feature = "tables")]
pub mod shard;
pub mod spreadsheet;
pub mod stage;
mod staleness;
pub mod statistics;
pub mod text;

pub use error::{Error, Result};
pub use label::{Label, Split};
pub use manifest::{Code, Manifest, OutputFile};
pub use roc_auc::roc_auc;
pub use run_dir::{Checkpoint, RunDir};
