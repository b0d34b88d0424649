//! Image files to RGB pixels: decoding, orientation, resizing, and the degradations that training and robustness tests share;
//! and what files say of themselves besides ([`metadata`]).
//!
//! Every detector trained here sees pixels as this crate makes them, so the reference is what most published detectors
//! saw: Pillow, in version 13.0.0. [`decode()`] agrees with `Image.open(f).convert("RGB")`, for JPEGs within a few levels,
//! and [`resize()`] equals `Image.resize`; the differences stand in their documentation ([`mod@decode`], [`mod@resize`]).
//!
//! Bytes and pixels in, pixels out: nothing here prints or keeps state, and only [`mod@file`] reads files.

pub mod decode;
pub mod degrade;
pub mod encode;
pub mod file;
mod image;
pub mod metadata;
mod recipe;
pub mod resize;

pub use crate::decode::{DecodeError, Decoded, Format, Limits, decode};
pub use crate::image::{RgbImage, ShapeError};
pub use crate::recipe::{Recipe, RecipeError, Reencoded, UnsupportedStep};
pub use crate::resize::{Filter, Fit, resize, resize_to};
