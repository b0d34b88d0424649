//! What validation alone decides: the temperature, the threshold and the band without a verdict.
//!
//! Nothing here may see the split that is judged.

mod band;
mod temperature;
mod threshold;

pub use band::{Band, BandLimits, Verdict, fit_band};
pub use temperature::{Scale, Temperature, fit_temperature, sigmoid};
pub use threshold::fit_threshold;
