//! Detectors side by side on the same images, with paired tests.

mod entrants;
mod error;
mod pairs;

pub use entrants::{Judged, align, read};
pub use error::Error;
pub use pairs::compare;
