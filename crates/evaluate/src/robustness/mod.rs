//! The robustness sweep: predictions on the images after degradations such as JPEG compression, blur and noise.

mod images;
mod operations;
mod sweep;

pub(crate) use operations::OPERATIONS;
pub use operations::Operation;
pub(crate) use sweep::sweep;
