//! Examples with heat maps: the folder `explanations/`.

mod branches;
mod evidence;
mod examples;
mod overlay;
mod sanity;
mod write;

pub use branches::branch_overlay;
pub use evidence::{png, stored_image, write_png};
pub use examples::{Choice, choose};
pub use overlay::{colour, heat_picture, legend, overlay};
pub(crate) use sanity::sanity_check;
pub use write::{write, write_legend};
