//! An evaluation to a self-contained HTML report, figures and a model card.
//!
//! The report reads what the other stages left on disk and computes no score of its own: it counts, sorts and draws.
//! The page asks nothing of the network. Everything that comes from outside, such as file names, is escaped where it
//! is written: by maud in HTML and SVG, by `text` and `table` elsewhere.

mod answer;
mod card;
pub mod comparison;
mod config;
mod error;
mod evidence;
mod figures;
mod histogram;
mod number;
mod page;
mod picture;
mod plot;
mod raster;
#[cfg(test)]
mod sample;
mod stage;
mod stored;
mod table;
mod text;
mod threshold;
mod write;

pub use config::{Config, Published};
pub use error::Error;
pub use stage::Report;
