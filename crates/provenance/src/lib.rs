//! What an image file declares about its origin: Content Credentials, which are checked; IPTC's `DigitalSourceType`;
//! parameters of generators; camera data.
//!
//! Declarations count only where the container puts them ([`pixels::metadata`]): nothing after the end of the image, in
//! a comment or in a pixel. Nothing is fetched from a network. What is declared has no effect on any score. The absence
//! of declarations proves nothing, because saving a picture again removes them.

mod clean;
mod credentials;
mod parameters;
mod sentences;
mod source_type;
mod trust;

use std::collections::BTreeMap;

use pixels::Format;
use pixels::metadata::Statements;
use serde::{Deserialize, Serialize};

pub use credentials::{Action, Credentials, Ingredient, State};
pub use parameters::Parameters;
pub use trust::{TrustError, TrustList};

/// What a file declares about its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The Content Credentials (C2PA), and whether they are valid.
    pub credentials: Credentials,
    /// IPTC's `DigitalSourceType` in XMP, in words.
    pub source_type: Option<String>,
    /// Whether IPTC's `DigitalSourceType` in XMP says that the picture, or a part of it, was generated.
    pub source_type_generated: bool,
    /// The parameters of generators, one entry for each text.
    pub parameters: Vec<Parameters>,
    /// A comment that has the form of a generator's parameters, shortened. It declares nothing: any program writes
    /// comments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Fields of the camera: make, model, lens, date …. Anyone can write them.
    pub camera: BTreeMap<String, String>,
}

impl Provenance {
    /// Reads the declarations of a file, and checks its Content Credentials against a list of trusted signers.
    pub fn read(file: &[u8], format: Format, trust: Option<&TrustList>) -> Provenance {
        let statements = Statements::read(file, format);
        let credentials = Credentials::check(file, format, &statements, trust);
        let comment = statements.texts.iter().find(|text| text.is_comment_like_parameters());
        let source_type = statements.source_type.as_deref();
        Provenance {
            credentials,
            source_type: source_type.map(source_type::words),
            source_type_generated: source_type.is_some_and(source_type::is_generated),
            parameters: parameters::of_texts(&statements.texts),
            comment: comment.map(|comment| clean::text(&comment.text)),
            camera: statements.camera.iter().map(|(name, value)| ((*name).to_owned(), clean::text(value))).collect(),
        }
    }

    /// Whether the file declares that it, or a part of it, was generated.
    pub fn declares_generation(&self) -> bool {
        self.source_type_generated || !self.parameters.is_empty() || self.credentials.declares_generation()
    }

    /// Returns the declarations in sentences, the Content Credentials first.
    pub fn sentences(&self) -> Vec<String> {
        sentences::of(self)
    }
}
