//! Temperature, threshold and inconclusive band, which are fitted on validation.
//!
//! Nothing in this module may see the split that is evaluated.

mod band;
mod temperature;
mod threshold;

pub(crate) use band::fit_band;
pub use band::{Band, BandLimits, Verdict};
pub use temperature::{ProbabilityScale, Temperature, fit_temperature};
pub(crate) use threshold::fit_threshold;
