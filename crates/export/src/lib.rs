//! Writes trained models for other programs.
//!
//! - [`cli`] is the command line.
//! - `folder` writes a folder in Hugging Face's format, which torchvision, timm, transformers and `candling predict`
//!   read, with the model card of `card`.
//! - `onnx` writes ResNets and vision transformers as an ONNX file.

mod card;
pub mod cli;
mod error;
mod folder;
mod onnx;
mod source;

pub use error::Error;
