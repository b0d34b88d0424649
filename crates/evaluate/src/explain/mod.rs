//! Examples with Grad-CAM heat maps: the folder `explanations/`.

mod examples;
mod overlay;
mod sanity;
mod write;

pub use examples::{Choice, choose};
pub use overlay::{colour, legend, overlay};
pub(crate) use sanity::sanity_check;
pub(crate) use write::write_png;
pub use write::{write, write_legend};
