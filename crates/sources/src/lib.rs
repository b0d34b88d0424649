//! Sources of labelled images: folders, zip archives, CSV lists, parquet tables, Kaggle data sets and simulated sets.
//!
//! [`open`] opens the source, or the several sources, that a [`SourceConfig`] names. A [`Source`] is a list of files whose order depends only on
//! the content of the source. Each file has an [`Entry`] (path, label, split, generator), and [`Source::read`] returns
//! its bytes by index, from any number of threads. [`reopen`] opens the source of an earlier ingest from its recorded
//! path.

mod combined;
mod config;
mod csv_list;
mod error;
mod file_names;
mod folder;
mod folder_labels;
pub mod kaggle;
mod name_map;
mod open;
mod other_files;
mod rejection;
pub mod simulated;
mod simulated_source;
mod source;
mod source_list;
mod table;
mod zip_archive;
mod zip_directory;

pub use config::SourceConfig;
pub use error::SourceError;
pub use open::{Location, download_notices, fingerprint, open, reopen};
pub use other_files::OtherFile;
pub use rejection::{NO_LABEL, Rejection};
pub use source::{Entry, Source};
pub use source_list::{SourceList, SourcePart};
