//! Turns an evaluation into a self-contained HTML report with figures and a model card.
//!
//! The report reads the artifacts of the other stages. It counts, sorts and draws, but computes no scores.
//! Pages load nothing from the network. Text from data sets, such as file names, is escaped where it is written: maud
//! escapes HTML and SVG, `escape` Markdown and YAML, and `table` CSV.

pub mod benchmark;
pub mod cli;
pub mod comparison;
mod config;
mod degradation;
mod embedded_image;
mod error;
mod escape;
mod figure;
mod figures;
mod format_number;
mod histogram;
mod html;
mod judged;
mod limitations;
mod model_card;
mod near_duplicate_images;
mod output;
mod page;
mod plot;
mod probes;
mod relative_path;
mod run_results;
mod stage;
mod summary;
mod svg_to_png;
mod table;
mod tables;
#[cfg(test)]
mod test_data;
mod threshold_sweep;
mod training_settings;

pub use config::{Config, Published};
pub use error::Error;
pub use stage::Report;
