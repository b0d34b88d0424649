//! The texts that a file holds about itself, with their places.

use std::collections::BTreeMap;

use super::blocks::{self, Block};
use super::{c2pa, exif, parameters};
use crate::Format;

/// Where a text stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Text of a PNG under this keyword.
    PngText(String),
    /// The EXIF field with this tag.
    Exif(u16),
    /// The comment or the description in XMP.
    Xmp,
    /// A comment of a JPEG or GIF. Anyone's program writes comments; no generator does.
    Comment,
}

/// A text and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedText {
    /// The place.
    pub place: Place,
    /// The text, at most [`Statements::MAX_BYTES`] long.
    pub text: String,
}

/// What a file states about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// The texts, at most [`Statements::MAX_TEXTS`].
    pub texts: Vec<PlacedText>,
    /// The term of IPTC's `DigitalSourceType` in XMP, such as `digitalCapture` or `trainedAlgorithmicMedia`.
    pub source_type: Option<String>,
    /// The fields of the camera: `make`, `model`, `software`, `date taken`, `exposure time`, `aperture`, `sensitivity`
    /// and `focal length`, in words.
    pub camera: BTreeMap<&'static str, String>,
    /// Whether the file has a manifest store of Content Credentials.
    pub has_manifest: bool,
    /// The address of Content Credentials that are kept elsewhere (`dcterms:provenance` in XMP).
    pub remote_manifest: Option<String>,
}

impl Statements {
    /// The largest number of texts.
    pub const MAX_TEXTS: usize = 64;
    /// The largest number of bytes of a text; longer texts are cut.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Reads what a file states, without decoding the image. Stops at damaged data.
    pub fn read(file: &[u8], format: Format) -> Statements {
        let mut found = Statements::default();
        blocks::visit(file, format, &mut |block| found.add(&block));
        found
    }

    fn add(&mut self, block: &Block<'_>) {
        match block {
            Block::Exif(tiff) | Block::Tiff(tiff) => {
                exif::visit_tagged_texts(tiff, &mut |tag, text| self.push(Place::Exif(tag), text));
                exif::visit_camera(tiff, &mut |name, value| {
                    self.camera.entry(name).or_insert(value);
                });
            }
            Block::Comment(text) => self.push(Place::Comment, text),
            Block::Text(keyword, text) => {
                self.push(Place::PngText(String::from_utf8_lossy(keyword).into_owned()), text);
            }
            Block::Xmp(xmp) => {
                self.source_type = self.source_type.take().or_else(|| xmp.any_source_type.clone());
                self.remote_manifest = self.remote_manifest.take().or_else(|| xmp.provenance.clone());
                xmp.comments.iter().for_each(|text| self.push(Place::Xmp, text));
            }
            Block::Jumbf(data) => self.has_manifest |= c2pa::is_manifest_store(data),
        }
    }

    fn push(&mut self, place: Place, text: &str) {
        if self.texts.len() >= Statements::MAX_TEXTS || text.is_empty() {
            return;
        }
        let mut end = text.len().min(Statements::MAX_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.texts.push(PlacedText { place, text: text[..end].to_owned() });
    }
}

impl PlacedText {
    /// Whether the text is a comment in the form of a generator's parameters.
    pub fn is_comment_like_parameters(&self) -> bool {
        self.place == Place::Comment && parameters::is_text(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{jpeg, png, tiff_of_values, webp, xmp_with};
    use super::*;

    const SETTINGS: &str = "a cat\nSteps: 20, Sampler: Euler";

    #[test]
    fn texts_have_their_places() {
        let chunk = format!("parameters\0{SETTINGS}");
        let found = Statements::read(&png(&[(b"tEXt", chunk.as_bytes())]), Format::Png);
        assert_eq!(found.texts[0].place, Place::PngText("parameters".to_owned()));
        assert!(!found.texts[0].is_comment_like_parameters());
        let found = Statements::read(&jpeg(&[(0xfe, SETTINGS.as_bytes())]), Format::Jpeg);
        assert!(found.texts[0].is_comment_like_parameters());
        let found = Statements::read(&jpeg(&[(0xfe, b"a holiday")]), Format::Jpeg);
        assert!(!found.texts[0].is_comment_like_parameters());
        let tiff = tiff_of_values(&[(0x9286, SETTINGS.as_bytes())]);
        let found = Statements::read(&webp(&[(b"EXIF", &tiff)]), Format::WebP);
        assert_eq!(found.texts[0], PlacedText { place: Place::Exif(0x9286), text: SETTINGS.to_owned() });
    }

    #[test]
    fn reads_camera_source_type_and_address() {
        let tiff = tiff_of_values(&[(0x010f, b"Maker\0"), (0x0110, b"Model 1\0")]);
        let exif = [b"Exif\0\0".as_slice(), &tiff].concat();
        let packet = xmp_with(
            "<rdf:Description xmlns:dcterms='http://purl.org/dc/terms/' \
             Iptc4xmpExt:DigitalSourceType='http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture' \
             dcterms:provenance='https://example.org/m'/>",
        );
        let xmp = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), packet.as_bytes()].concat();
        let found = Statements::read(&jpeg(&[(0xe1, &exif), (0xe1, &xmp)]), Format::Jpeg);
        assert_eq!((found.camera["make"].as_str(), found.camera["model"].as_str()), ("Maker", "Model 1"));
        assert_eq!(found.source_type.as_deref(), Some("digitalCapture"));
        assert_eq!(found.remote_manifest.as_deref(), Some("https://example.org/m"));
    }
}
