//! Examples worth looking at, and where in them the detector found its evidence.

mod examples;
mod overlay;
mod sanity;
mod write;

pub use examples::{Choice, choose};
pub use overlay::{colour, legend, overlay};
pub(crate) use sanity::sanity_check;
pub(crate) use write::write_png;
pub use write::{write, write_legend};
