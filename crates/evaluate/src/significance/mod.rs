//! Tests of whether two detectors differ on the same images, and intervals by formula.

mod delong;
mod holm;
mod mcnemar;
mod normal;
mod wilson;

pub use delong::{AucTest, delong, delong_interval};
pub use holm::holm;
pub use mcnemar::mcnemar;
pub use wilson::wilson;
