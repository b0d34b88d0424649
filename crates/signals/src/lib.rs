//! The inputs of a detector's branches, computed from images at native resolution.
//!
//! Resizing destroys the traces that cameras, generators and encoders leave between neighbouring pixels. This crate
//! therefore works on the decoded image before it is resized:
//!
//! - [`patches`] cuts square windows, chosen by texture or at random.
//! - [`residual`] removes the content of a window with a high-pass filter.
//! - [`frequency`] computes statistics of residuals, spectra and DCT coefficients, and a spectrum to look at.
//! - [`metadata`] describes how a file was written, from its bytes alone.
//! - [`augment`] changes training images at native resolution.
//!
//! All functions work on one image on the calling thread. Callers run them in parallel.

pub mod augment;
pub mod frequency;
pub mod metadata;
pub mod patches;
pub mod residual;
