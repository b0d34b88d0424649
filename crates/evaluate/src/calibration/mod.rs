//! What validation alone decides: the temperature, the threshold and the band without a verdict.
//!
//! Nothing here may see the split that is judged.

mod band;
mod temperature;
mod threshold;

pub(crate) use band::fit_band;
pub use band::{Band, BandLimits, Verdict};
pub use temperature::{Scale, Temperature, fit_temperature, sigmoid};
pub(crate) use threshold::fit_threshold;
