//! Verified, resumable downloads over HTTP, used by the clients of Kaggle (`sources::kaggle`) and of the Hugging Face
//! hub (crate `hub`).
//!
//! # Guarantees
//! - **Atomic.** A download is written to `NAME.part` beside its target, and renamed to `NAME` when it is complete and
//!   verified. The target therefore never exists in an incomplete form, even if the process is killed.
//! - **Resumed.** An interrupted download continues where it stopped, in the same process or a later one, with an HTTP
//!   range request. It continues only if the server confirms that the file has not changed; otherwise it starts from
//!   the beginning ([`Client::download`]).
//! - **Verified.** The file on disk is read back and compared with the checksum that the service publishes. A file with
//!   a wrong checksum is removed.
//! - **Confined.** A download writes only into the folder of its target. A symbolic link with the name of a temporary
//!   file is removed and not followed.
//! - **Credentials stay with their host.** A redirect to another scheme, host or port is followed without credentials
//!   ([`Authorization`]), and a redirect from `https` to `http` is refused. No error, event or `Debug` form shows
//!   credentials or the query of a URL ([`Url`]), because the query may contain a signature.
//! - **Retried.** Transient failures are retried with exponential backoff and jitter. `Retry-After` overrides the wait
//!   ([`RetryPolicy`]).
//! - **Shared.** If two processes download a file to the same target, the second waits, and the file is downloaded
//!   once.

mod authorization;
mod certificates;
mod checksum;
mod client;
mod content_range;
mod download;
mod environment;
mod error;
mod event;
mod free_space;
mod partial_file;
mod response;
mod retry;
mod url;

pub use authorization::Authorization;
pub use checksum::Checksum;
pub use client::{Client, Request};
pub use content_range::ContentRange;
pub use download::{DownloadedFile, ExpectedFile, FileKind};
pub use environment::Environment;
pub use error::{Error, Result};
pub use event::{Event, progress_observer};
pub use free_space::free_space;
pub use response::{ResponseHead, parse_retry_after};
pub use retry::RetryPolicy;
pub use url::Url;
