//! Verdicts on single image files, for the program `candling-predict`.
//!
//! A file becomes pixels by the same [`Recipe`](pixels::Recipe) as in ingest, so that P(fake) equals the value in
//! `predictions.parquet` bit for bit.

mod files;
mod print;
mod profile;
mod row;
mod search;
mod verdicts;

pub use files::{Content, Found, find};
pub use print::Style;
pub use profile::TrainingProfile;
pub use row::Row;
pub use search::Search;
pub use verdicts::{Calibration, Judge, Uncalibrated};
