//! Metadata of image files: EXIF, and declarations that a generator made the image.

mod compression;
mod containers;
mod exif;

use std::borrow::Cow;

use memchr::memmem;
use serde::Serialize;

use crate::Format;

pub use compression::Compression;
pub use containers::{Segment, png_chunks, riff_chunks, segments};
pub(crate) use exif::ByteOrder;
pub use exif::{Exif, FIELDS};

/// The kind of a declaration of how an image was made. The absence of a declaration proves nothing, because saving an
/// image again removes it. Its presence proves nothing either, because anyone can write one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Declaration {
    /// Parameters of a generator in PNG text, or in an EXIF or JPEG comment.
    GeneratorParameters,
    /// The IPTC property `DigitalSourceType` is `trainedAlgorithmicMedia` or a composite with it.
    DigitalSourceType,
    /// A manifest of Content Credentials (C2PA). Neither its claims nor its signature are checked.
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
    /// The first [`Declared::MAX_CHARS`] characters of its text. Empty if it is not plain text.
    pub text: String,
}

impl Declared {
    /// The largest number of characters of a text.
    pub const MAX_CHARS: usize = 200;

    /// Reads the declarations of a file, at most one of each kind, without decoding the image.
    pub fn read(file: &[u8], format: Format) -> Vec<Declared> {
        let mut all: Vec<Declared> = Vec::new();
        visit_items(file, format, &mut |found| {
            if let Item::Declared(kind, text) = found
                && all.iter().all(|known| known.kind != kind)
            {
                all.push(Declared { kind, text: excerpt(text) });
            }
        });
        all
    }
}

/// The presence of EXIF fields and declarations in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The EXIF fields of the file.
    pub exif: Exif,
    /// A bit for each [`Declaration`].
    declared: u8,
}

impl Metadata {
    /// Reads the metadata of a file from its segments or chunks, without decoding the image. Stops at damaged data.
    pub fn read(file: &[u8], format: Format) -> Metadata {
        let mut metadata = Metadata::default();
        visit_items(file, format, &mut |found| match found {
            Item::Exif(exif) => metadata.exif = exif,
            Item::Declared(kind, _) => metadata.declared |= 1 << kind as u8,
        });
        metadata
    }

    /// Whether the file has a declaration of this kind.
    pub fn declares(self, declaration: Declaration) -> bool {
        self.declared & (1 << declaration as u8) != 0
    }
}

/// An item of metadata in a file.
enum Item<'a> {
    Exif(Exif),
    /// A declaration, and bytes that begin with its text.
    Declared(Declaration, &'a [u8]),
}

/// Calls `found` for each item of metadata in a file.
fn visit_items(file: &[u8], format: Format, found: &mut dyn FnMut(Item<'_>)) {
    match format {
        Format::Jpeg => segments(file).for_each(|segment| read_segment(&segment, found)),
        Format::Png => png_chunks(file).for_each(|(kind, data)| read_png_chunk(kind, data, found)),
        Format::WebP => riff_chunks(file).for_each(|(kind, data)| read_riff_chunk(kind, data, found)),
        Format::Bmp | Format::Tiff | Format::Gif => {}
    }
}

fn read_segment(segment: &Segment<'_>, found: &mut dyn FnMut(Item<'_>)) {
    const APP1: u8 = 0xe1;
    const APP11: u8 = 0xeb;
    const APP13: u8 = 0xed;
    const COMMENT: u8 = 0xfe;
    match segment.marker {
        APP1 => match segment.data.strip_prefix(b"Exif\0\0") {
            Some(tiff) => read_exif(tiff, found),
            None => read_xmp(segment.data, found),
        },
        // ISO/IEC 19566-5: a JUMBF box in a JPEG starts with "JP".
        APP11 if segment.data.starts_with(b"JP") => found(Item::Declared(Declaration::ContentCredentials, b"")),
        APP13 => read_xmp(segment.data, found),
        COMMENT => read_comment(segment.data, found),
        _ => {}
    }
}

fn read_png_chunk(kind: [u8; 4], data: &[u8], found: &mut dyn FnMut(Item<'_>)) {
    // Keywords of Stable Diffusion WebUI, ComfyUI (two), InvokeAI (two) and older front ends.
    const KEYWORDS: [&[u8]; 7] =
        [b"parameters", b"prompt", b"workflow", b"invokeai_metadata", b"sd-metadata", b"Dream", b"generation_data"];
    match &kind {
        b"tEXt" | b"iTXt" | b"zTXt" => {
            let keyword = data.split(|&byte| byte == 0).next().unwrap_or_default();
            if KEYWORDS.contains(&keyword) {
                found(Item::Declared(Declaration::GeneratorParameters, png_text(kind, &data[keyword.len()..])));
            }
            read_xmp(data, found);
        }
        b"eXIf" => read_exif(data, found),
        b"caBX" => found(Item::Declared(Declaration::ContentCredentials, b"")),
        _ => {}
    }
}

/// Returns the text of a chunk after its keyword (PNG 1.2, section 4.2.3); empty if it is compressed.
fn png_text(kind: [u8; 4], after_keyword: &[u8]) -> &[u8] {
    match (&kind, after_keyword) {
        (b"tEXt", [0, text @ ..]) => text,
        // After the keyword: compression flag (0 is uncompressed), compression method, language tag, translated
        // keyword.
        (b"iTXt", [0, 0, _, rest @ ..]) => rest.splitn(3, |&byte| byte == 0).nth(2).unwrap_or_default(),
        _ => b"",
    }
}

fn read_riff_chunk(kind: [u8; 4], data: &[u8], found: &mut dyn FnMut(Item<'_>)) {
    match &kind {
        // Some programs write the prefix that EXIF has in a JPEG.
        b"EXIF" => read_exif(data.strip_prefix(b"Exif\0\0").unwrap_or(data), found),
        b"XMP " => read_xmp(data, found),
        b"C2PA" => found(Item::Declared(Declaration::ContentCredentials, b"")),
        _ => {}
    }
}

fn read_exif(tiff: &[u8], found: &mut dyn FnMut(Item<'_>)) {
    found(Item::Exif(Exif::read(tiff)));
    read_comment(tiff, found);
}

/// Finds the parameter line that Stable Diffusion front ends write, in UTF-8 or in UTF-16 of either byte order.
fn read_comment(text: &[u8], found: &mut dyn FnMut(Item<'_>)) {
    let narrow = [b"Steps: ".as_slice(), b"Sampler: "];
    let wide = [b"S\0t\0e\0p\0s\0:\0 ".as_slice(), b"S\0a\0m\0p\0l\0e\0r\0:\0 "];
    for [steps, sampler] in [narrow, wide] {
        if let Some(start) = memmem::find(text, steps).filter(|_| memmem::find(text, sampler).is_some()) {
            found(Item::Declared(Declaration::GeneratorParameters, &text[start..]));
        }
    }
}

/// Finds the IPTC terms in XMP or other text, also within compositeWithTrainedAlgorithmicMedia.
fn read_xmp(text: &[u8], found: &mut dyn FnMut(Item<'_>)) {
    const TERMS: [&[u8]; 2] = [b"rainedAlgorithmicMedia", b"algorithmicMedia"];
    for term in TERMS {
        if let Some(at) = memmem::find(text, term) {
            let before = text[..at].iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
            found(Item::Declared(Declaration::DigitalSourceType, &text[at - before..at + term.len()]));
        }
    }
}

/// Returns the beginning of a text, up to the first zero character. The text is in UTF-8, or in UTF-16 with ASCII
/// letters.
fn excerpt(text: &[u8]) -> String {
    let is_wide = text.get(1) == Some(&0);
    let narrow: Cow<'_, [u8]> = match is_wide {
        true => text.iter().step_by(2).take(Declared::MAX_CHARS).copied().collect(),
        false => Cow::Borrowed(&text[..text.len().min(4 * Declared::MAX_CHARS)]),
    };
    let end = narrow.iter().position(|&byte| byte == 0).unwrap_or(narrow.len());
    String::from_utf8_lossy(&narrow[..end]).trim().chars().take(Declared::MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::exif::tests::tiff;
    use super::*;

    fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in chunks {
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(*kind);
            file.extend(*data);
            file.extend([0; 4]);
        }
        file
    }

    fn jpeg(segments: &[(u8, &[u8])]) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        for (marker, data) in segments {
            file.extend([0xff, *marker]);
            file.extend((data.len() as u16 + 2).to_be_bytes());
            file.extend(*data);
        }
        file.extend([0xff, 0xda, 0, 2]);
        file
    }

    fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        for (kind, data) in chunks {
            file.extend(*kind);
            file.extend((data.len() as u32).to_le_bytes());
            file.extend(*data);
            file.resize(file.len() + data.len() % 2, 0);
        }
        file
    }

    fn declared(file: &[u8], format: Format) -> Vec<Declaration> {
        let metadata = Metadata::read(file, format);
        let declared: Vec<_> = Declaration::ALL.into_iter().filter(|&kind| metadata.declares(kind)).collect();
        let read = Declared::read(file, format);
        assert!(read.len() == declared.len() && read.iter().all(|found| metadata.declares(found.kind)), "{read:?}");
        declared
    }

    #[test]
    fn finds_generator_parameters_in_text() {
        use Declaration::GeneratorParameters as Parameters;
        let cases: [(&[u8; 4], &[u8]); 3] =
            [(b"tEXt", b"parameters\0a cat"), (b"tEXt", b"workflow\0{}"), (b"iTXt", b"prompt\0\0\0\0\0{}")];
        for case in cases {
            assert_eq!(declared(&png(&[case]), Format::Png), [Parameters]);
        }
        assert_eq!(declared(&png(&[(b"tEXt", b"Title\0parameters")]), Format::Png), []);
        let comment = b"a cat\nSteps: 20, Sampler: Euler";
        assert_eq!(declared(&jpeg(&[(0xfe, comment)]), Format::Jpeg), [Parameters]);
        let wide: Vec<u8> = comment.iter().flat_map(|&byte| [0, byte]).collect();
        let mut exif = b"Exif\0\0".to_vec();
        exif.extend(tiff(&[0x9286], &[]));
        exif.extend(wide);
        assert_eq!(declared(&jpeg(&[(0xe1, &exif)]), Format::Jpeg), [Parameters]);
    }

    #[test]
    fn declarations_have_the_beginning_of_their_text() {
        let text = |file: &[u8], format| Declared::read(file, format).swap_remove(0).text;
        let long = [b"parameters\0".as_slice(), "Größe ".repeat(100).as_bytes()].concat();
        let cases: [(&[u8; 4], &[u8], &str); 4] = [
            (b"tEXt", b"parameters\0a cat\nSteps: 20", "a cat\nSteps: 20"),
            (b"iTXt", b"prompt\0\0\0en\0Prompt\0{\"seed\": 1}", "{\"seed\": 1}"),
            (b"iTXt", b"prompt\0\x01\0\0\0compressed", ""),
            (b"zTXt", b"parameters\0\0compressed", ""),
        ];
        for (kind, data, expected) in cases {
            assert_eq!(text(&png(&[(kind, data)]), Format::Png), expected);
        }
        assert_eq!(text(&png(&[(b"iTXt", &long)]), Format::Png), "");
        assert_eq!(text(&png(&[(b"tEXt", &long)]), Format::Png).chars().count(), Declared::MAX_CHARS);
        let wide: Vec<u8> = b"x\nSteps: 20, Sampler: Euler".iter().flat_map(|&byte| [byte, 0]).collect();
        assert_eq!(text(&jpeg(&[(0xfe, &wide)]), Format::Jpeg), "Steps: 20, Sampler: Euler");
        let composite = b"<x>compositeWithTrainedAlgorithmicMedia</x>";
        assert_eq!(text(&jpeg(&[(0xe1, composite)]), Format::Jpeg), "compositeWithTrainedAlgorithmicMedia");
    }

    #[test]
    fn finds_source_types_and_content_credentials() {
        let xmp = b"http://ns.adobe.com/xap/1.0/\0<x Iptc4xmpExt:DigitalSourceType='http://cv.iptc.org/newscodes/\
                    digitalsourcetype/trainedAlgorithmicMedia'/>";
        assert_eq!(declared(&jpeg(&[(0xe1, xmp)]), Format::Jpeg), [Declaration::DigitalSourceType]);
        assert_eq!(
            declared(&riff(&[(b"VP8 ", b"abc"), (b"XMP ", xmp)]), Format::WebP),
            [Declaration::DigitalSourceType]
        );
        for file in [(jpeg(&[(0xeb, b"JP\0\x01")]), Format::Jpeg), (png(&[(b"caBX", b"")]), Format::Png)] {
            assert_eq!(declared(&file.0, file.1), [Declaration::ContentCredentials]);
        }
    }

    #[test]
    fn finds_exif_in_every_container() {
        let tags = tiff(&[0x010f], &[]);
        let prefixed = [b"Exif\0\0".as_slice(), &tags].concat();
        for (file, format) in [
            (jpeg(&[(0xe1, &prefixed)]), Format::Jpeg),
            (png(&[(b"eXIf", &tags)]), Format::Png),
            (riff(&[(b"EXIF", &prefixed)]), Format::WebP),
        ] {
            assert!(Metadata::read(&file, format).exif.has(0), "{format}");
            for length in 0..file.len() {
                let _ = Metadata::read(&file[..length], format);
            }
        }
    }
}
