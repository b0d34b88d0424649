//! Runs pipelines, single stages and tools, each of which is a program of its own.
//!
//! `cargo xtask` and `candling` both call this crate. They differ in how they start programs, see [`Programs`].
//! It links neither candle nor arrow, so `cargo xtask` builds in seconds.

mod args;
pub mod benchmark;
mod options;
mod other_data;
pub mod pipeline;
mod preflight;
pub mod process;
mod processes;
mod programs;
mod provided;
pub mod runs;
mod scores;
mod signals;
pub mod single;
pub mod sweep;
pub mod tools;

pub use args::{PipelineArgs, ShortOptions, StageName};
pub use programs::Programs;
pub use provided::{Provided, ProvidedFiles};
