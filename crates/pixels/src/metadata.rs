//! Metadata of image files: EXIF, and declarations that a generator made the image.
//!
//! Metadata count only where the container puts them: nothing after the end of the image, and nothing in its pixels.
//! XMP is parsed with its namespaces, in UTF-8, UTF-16 and UTF-32, in all containers, also as extended XMP of JPEGs and
//! as compressed text of PNGs.

mod blocks;
mod c2pa;
mod compression;
mod containers;
mod directory;
mod encoding;
mod exif;
#[cfg(test)]
pub(crate) mod fixtures;
mod parameters;
mod photoshop;
pub(crate) mod png_text;
mod statements;
mod xmp;

use serde::{Deserialize, Serialize};

use self::blocks::Block;
use crate::Format;

pub use compression::Compression;
pub use containers::{Segment, png_chunks, riff_chunks, segments};
pub(crate) use directory::{ByteOrder, Entry, entries};
pub use exif::{Exif, FIELDS};
pub use statements::{Place, PlacedText, Statements};

/// The kind of a declaration of how an image was made. The absence of a declaration proves nothing, because saving an
/// image again removes it. Its presence proves nothing either, because anyone can write one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Declaration {
    /// Parameters of a generator in text of a PNG, EXIF or XMP, in the form that the generator writes. [`Metadata`], whose
    /// bits are features of a detector, also counts those in a comment.
    GeneratorParameters,
    /// The IPTC property `DigitalSourceType` in XMP has the URI of `trainedAlgorithmicMedia`, `algorithmicMedia`,
    /// `compositeWithTrainedAlgorithmicMedia` or `compositeSynthetic`.
    DigitalSourceType,
    /// A manifest store of Content Credentials (C2PA). It is not checked: neither its claims nor its signature are
    /// read.
    ContentCredentials,
}

impl Declaration {
    /// All kinds.
    pub const ALL: [Declaration; 3] =
        [Declaration::GeneratorParameters, Declaration::DigitalSourceType, Declaration::ContentCredentials];

    /// Returns the name that is shown to the user.
    pub fn name(self) -> &'static str {
        match self {
            Declaration::GeneratorParameters => "generator parameters",
            Declaration::DigitalSourceType => "declared as generated (IPTC)",
            Declaration::ContentCredentials => "content credentials (C2PA)",
        }
    }
}

/// A declaration in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// The kind.
    pub kind: Declaration,
    /// The first [`Declared::MAX_CHARS`] characters of its text; `not checked` for Content Credentials.
    pub text: String,
}

impl Declared {
    /// The largest number of characters of a text.
    pub const MAX_CHARS: usize = 200;

    /// Reads the declarations of a file, at most one of each kind, without decoding the image. A comment of a JPEG or GIF
    /// declares nothing, because any program writes comments.
    pub fn read(file: &[u8], format: Format) -> Vec<Declared> {
        let mut all: Vec<Declared> = Vec::new();
        blocks::visit(file, format, &mut |block| {
            if matches!(block, Block::Comment(_)) {
                return;
            }
            visit_declarations(&block, &mut |kind, text| {
                if all.iter().all(|known| known.kind != kind) {
                    all.push(Declared { kind, text: excerpt(text) });
                }
            });
        });
        all
    }
}

/// The presence of EXIF fields and declarations in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The EXIF fields of the file; none of a TIFF.
    pub exif: Exif,
    /// A bit for each [`Declaration`].
    declared: u8,
}

impl Metadata {
    /// Reads the metadata of a file from its segments or chunks, without decoding the image. Stops at damaged data.
    /// TIFFs have declarations, but no EXIF, because they have the fields of EXIF themselves.
    pub fn read(file: &[u8], format: Format) -> Metadata {
        let mut metadata = Metadata::default();
        blocks::visit(file, format, &mut |block| {
            if let Block::Exif(tiff) = block {
                metadata.exif = Exif::read(tiff);
            }
            visit_declarations(&block, &mut |kind, _| metadata.declared |= 1 << kind as u8);
        });
        metadata
    }

    /// Whether the file has a declaration of this kind.
    pub fn declares(self, declaration: Declaration) -> bool {
        self.declared & (1 << declaration as u8) != 0
    }
}

/// Calls `found` for each declaration in a block, with its text.
fn visit_declarations(block: &Block<'_>, found: &mut dyn FnMut(Declaration, &str)) {
    use Declaration::{ContentCredentials, DigitalSourceType, GeneratorParameters};
    let comment = |text: &str, found: &mut dyn FnMut(Declaration, &str)| {
        if parameters::is_text(text) {
            found(GeneratorParameters, text);
        }
    };
    match block {
        Block::Exif(tiff) | Block::Tiff(tiff) => exif::visit_texts(tiff, &mut |text| comment(text, found)),
        Block::Comment(text) => comment(text, found),
        Block::Text(keyword, text) if parameters::is_png_text(keyword, text) => found(GeneratorParameters, text),
        Block::Text(..) => {}
        Block::Xmp(xmp) => {
            if let Some(term) = xmp.source_type {
                found(DigitalSourceType, term);
            }
            xmp.comments.iter().for_each(|text| comment(text, found));
        }
        Block::Jumbf(data) if c2pa::is_manifest_store(data) => found(ContentCredentials, "not checked"),
        Block::Jumbf(_) => {}
    }
}

/// Returns the beginning of a text, up to the first zero character.
fn excerpt(text: &str) -> String {
    let end = text.find('\0').unwrap_or(text.len());
    text[..end].trim().chars().take(Declared::MAX_CHARS).collect()
}

#[cfg(test)]
mod tests;
