//! `candling serve`: a page and a JSON API on 127.0.0.1 that check pictures.
//!
//! # Design
//!
//! - One thread owns the model ([`Checker`]) and checks one file at a time. Requests wait in a bounded queue, which
//!   serves clients in turn.
//! - One single-threaded tokio runtime receives requests and sends answers. It never decodes a picture.
//! - Files are in memory only. The bytes of all files that are being received or are waiting have one common limit.
//! - Every request must name this server in its Host header, so that a web site that resolves its own name to 127.0.0.1
//!   cannot read answers. Requests with a body must not come from another origin.

mod app;
mod args;
mod assets;
mod budget;
mod checker;
pub mod cli;
mod connections;
mod guard;
mod limits;
mod metered_body;
mod model_checker;
mod openapi;
mod page;
mod patient_stream;
mod problem;
mod provenance_section;
mod queue;
mod result_page;
mod routes;
mod server;
mod shown_text;
mod upload;
mod verdict_words;
mod worker;

pub use checker::{Checked, Checker, EvidenceImage, OpenChecker, PictureFile};
pub use limits::Limits;
pub use openapi::document as openapi_document;
pub use server::Server;
