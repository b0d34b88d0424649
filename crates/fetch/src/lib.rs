//! Verified, resumable downloads over HTTP.
//!
//! Two stages fetch large files: ingest a data set from Kaggle, model its weights from the Hugging Face hub. Neither
//! may import the other, and the hard parts are the same, so they stand here once:
//!
//! - a download goes to `NAME.part` beside its target and is renamed when it is whole, so that a file under the
//!   target's name is always complete;
//! - it resumes with a range, also in a later process, and only when the server says that the resource is still the
//!   one the first part came from ([`Client::download`]);
//! - what arrived is read back and held against the checksum that the service names;
//! - faults that pass are retried with growing, jittered waits that honour `Retry-After` ([`Retry`]);
//! - credentials are sent to the host they were meant for and no further, and are never shown ([`Authorization`],
//!   [`Url`]).
//!
//! The crate knows HTTP and files, but neither service: those live in `sources::kaggle` and `model::weights::hub`.

mod authorization;
mod checksum;
mod client;
mod content_range;
mod download;
mod environment;
mod error;
mod event;
mod part;
mod retry;
mod trust;
mod url;

pub use authorization::Authorization;
pub use checksum::Checksum;
pub use client::{Client, Head, Request};
pub use download::{Downloaded, Expected};
pub use environment::Environment;
pub use error::{Error, Result};
pub use event::{Event, narrator};
pub use retry::Retry;
pub use url::Url;

/// The bytes still free for this user where `folder` is, or will be; `None` if the system does not say.
pub fn free_space(folder: &std::path::Path) -> Option<u64> {
    folder.ancestors().find(|dir| dir.is_dir()).and_then(|dir| fs4::available_space(dir).ok())
}
