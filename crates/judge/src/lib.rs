//! Evaluates predictions that any detector wrote to a file, like those of Candling's own detectors.
//!
//! - [`input`] reads the files. [`Config`] has the settings.
//! - `images` lists the images that should have predictions, `matching` finds the image of a row, and `join` joins both.
//! - `scale` turns scores into margins, and `detector` computes the metrics with the functions of `evaluate`.
//! - [`benchmark`] lists the images of the benchmarks of the field.
//! - [`judge`] runs all of this for each detector, and writes run folders (with `examples` of the `pictures`) that the report and the comparison read.

pub mod benchmark;
pub mod cli;
mod config;
mod detector;
mod error;
mod examples;
mod images;
pub mod input;
mod join;
mod matching;
mod models;
mod paths;
mod pictures;
mod run;
mod scale;

pub use config::{Config, LabelPolicy};
pub use detector::Evaluation;
pub use error::Error;
pub use run::{JudgedRun, Request, judge};
