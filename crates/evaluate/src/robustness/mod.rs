//! The robustness sweep: predictions on the images after degradations such as JPEG compression, blur and noise.

mod images;
mod operations;
mod sweep;

pub(crate) use operations::OPERATIONS;
pub use operations::Operation;
pub(crate) use sweep::sweep;

/// The method of the sweep. Change it when a change of code gives other results for the same images, so that earlier
/// results are stale. The first method degraded the stored pixels of all sources but folders and zip archives.
pub(crate) const METHOD: &str = "original files, 3";
