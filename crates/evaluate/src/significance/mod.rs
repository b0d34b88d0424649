//! Tests of whether two detectors differ on the same images.

mod delong;
mod holm;
mod mcnemar;
mod wilson;

pub use delong::{AucTest, delong, delong_interval};
pub use holm::holm;
pub use mcnemar::mcnemar;
pub(crate) use wilson::wilson;

/// The two-sided p-value of a standard normal statistic.
pub(crate) fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// The 97.5% quantile of the standard normal distribution: the half width of a 95% interval in deviations.
pub(crate) const NORMAL_975: f64 = 1.959_963_984_540_054;
