//! Verdicts on pictures for people who check them.
//!
//! A picture goes the way that ingest and evaluate would have it go, so that its P(fake) is theirs to the last digit.

mod files;
mod input;
mod prepare;
mod print;
mod profile;
mod row;
mod verdicts;

pub use files::{Content, Found, find};
pub use input::Search;
pub use prepare::{Preprocessing, UnknownPreprocessing};
pub use print::Style;
pub use profile::TrainingProfile;
pub use row::Row;
pub use verdicts::{Calibration, Judge, Uncalibrated};
