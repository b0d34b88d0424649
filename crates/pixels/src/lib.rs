//! Conversion of image files to RGB pixels. A [`Recipe`] combines decoding, orientation, re-encoding and resizing. A
//! [`Picture`] has the file, the image at native resolution and the resized pixels. The
//! crate also contains the degradations of training and of the robustness sweep ([`degrade`]), and reads the metadata
//! of files ([`metadata`]).
//!
//! The reference is Pillow 13.0.0. Most published detectors were trained on pixels from Pillow. [`decode()`] agrees
//! with `Image.open(f).convert("RGB")`, for JPEGs within a few levels, and [`resize()`] equals `Image.resize`. The
//! differences are documented in [`mod@decode`] and [`mod@resize`].
//!
//! The crate prints nothing and keeps no state. Only [`mod@file`] reads files.

pub mod decode;
pub mod degrade;
pub mod encode;
pub mod file;
mod image;
pub mod metadata;
mod picture;
mod recipe;
pub mod resize;
mod zigzag;

pub use crate::decode::{DecodeError, Decoded, FileKind, Format, Limits, Warning, decode};
pub use crate::image::{RgbImage, ShapeError};
pub use crate::picture::Picture;
pub use crate::recipe::{Recipe, RecipeError, Reencoded, UnsupportedStep};
pub use crate::resize::{Filter, Fit, resize, resize_to};
