//! Verdicts on single image files.
//!
//! A file becomes pixels by the same [`Recipe`](pixels::Recipe) as in ingest, so that P(fake) equals the value in
//! `predictions.parquet` bit for bit.
//!
//! - [`open()`] loads the model that a [`ModelName`] names. [`ModelInfo`] is what is known of it.
//! - [`Judge::check`] computes the result for the bytes of one picture, [`Judge::checks`] for many files.
//! - [`cli`] is the command line of `predict`.

mod batch;
mod batch_line;
mod calibration;
mod check;
mod checks;
pub mod cli;
mod contact_sheet;
mod drawing;
mod error;
mod files;
mod judge;
mod left_out;
mod likeness;
mod machine;
mod model_info;
mod model_name;
mod open;
mod print;
mod profile;
mod record;
mod row;
mod search;
mod stability;
mod url;
mod verify;
mod words;

pub use batch::Batch;
pub use calibration::{Calibration, Uncalibrated};
pub use check::{Check, CheckOptions, Overlay};
pub use error::Error;
pub use files::{Content, Found, find};
pub use judge::Judge;
pub use left_out::LeftOut;
pub use machine::Machine;
pub use model_info::{Measured, ModelInfo, TrainingData, dataset_name};
pub use model_name::{Located, ModelName};
pub use open::open;
pub use print::Style;
pub use profile::TrainingProfile;
pub use record::{Record, RecordedModel, Settings};
pub use row::{Changed, Row, Stability, ValidationAtScore};
pub use search::Search;
pub use verify::{Agreement, Finding, TOLERANCE, compare_inputs, repeat};
pub use words::verdict_words;
