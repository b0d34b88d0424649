//! The judged images again, after what happens to pictures on their way.

mod images;
mod operations;
mod originals;
mod sweep;

pub(crate) use operations::OPERATIONS;
pub use operations::Operation;
pub(crate) use sweep::sweep;
