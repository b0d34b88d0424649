//! What a file says of itself besides its pixels: EXIF, and declarations that a generator made it.

use memchr::memmem;
use pixels::Format;

use super::exif::Exif;
use super::jpeg::{self, Segment};

/// Ways in which a file declares how it was made. Their absence proves nothing: every one is lost when a picture is saved
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declaration {
    /// Parameters of a generator in PNG text, an EXIF comment or a JPEG comment.
    GeneratorParameters,
    /// IPTC's `DigitalSourceType` is `trainedAlgorithmicMedia` or a composite with it.
    DigitalSourceType,
    /// A manifest of Content Credentials (C2PA), whatever it says.
    ContentCredentials,
}

impl Declaration {
    pub(super) const ALL: [Declaration; 3] =
        [Declaration::GeneratorParameters, Declaration::DigitalSourceType, Declaration::ContentCredentials];

    pub(super) fn name(self) -> &'static str {
        match self {
            Declaration::GeneratorParameters => "generator parameters",
            Declaration::DigitalSourceType => "declared as generated (IPTC)",
            Declaration::ContentCredentials => "content credentials (C2PA)",
        }
    }
}

/// The metadata of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) exif: Exif,
    declared: u8,
}

impl Metadata {
    /// Reads a file's metadata from its markers or chunks, without decoding it. Damage ends the reading.
    pub(super) fn read(file: &[u8], format: Format) -> Metadata {
        let mut metadata = Metadata::default();
        match format {
            Format::Jpeg => jpeg::segments(file).for_each(|segment| metadata.read_segment(&segment)),
            Format::Png => png_chunks(file).for_each(|(kind, data)| metadata.read_png_chunk(kind, data)),
            Format::WebP => riff_chunks(file).for_each(|(kind, data)| metadata.read_riff_chunk(kind, data)),
            Format::Bmp | Format::Tiff | Format::Gif => {}
        }
        metadata
    }

    pub(super) fn declares(self, declaration: Declaration) -> bool {
        self.declared & (1 << declaration as u8) != 0
    }

    fn declare(&mut self, declaration: Declaration) {
        self.declared |= 1 << declaration as u8;
    }

    fn read_segment(&mut self, segment: &Segment<'_>) {
        const APP1: u8 = 0xe1;
        const APP11: u8 = 0xeb;
        const APP13: u8 = 0xed;
        const COMMENT: u8 = 0xfe;
        match segment.marker {
            APP1 => match segment.data.strip_prefix(b"Exif\0\0") {
                Some(tiff) => self.read_exif(tiff),
                None => self.read_xmp(segment.data),
            },
            // ISO/IEC 19566-5: a JUMBF box in a JPEG starts with "JP".
            APP11 if segment.data.starts_with(b"JP") => self.declare(Declaration::ContentCredentials),
            APP13 => self.read_xmp(segment.data),
            COMMENT => self.read_comment(segment.data),
            _ => {}
        }
    }

    fn read_png_chunk(&mut self, kind: [u8; 4], data: &[u8]) {
        // Keywords of Stable Diffusion's web interface, ComfyUI (both), InvokeAI (both) and older front ends.
        const KEYWORDS: [&[u8]; 7] =
            [b"parameters", b"prompt", b"workflow", b"invokeai_metadata", b"sd-metadata", b"Dream", b"generation_data"];
        match &kind {
            b"tEXt" | b"iTXt" | b"zTXt" => {
                let keyword = data.split(|&byte| byte == 0).next().unwrap_or_default();
                if KEYWORDS.contains(&keyword) {
                    self.declare(Declaration::GeneratorParameters);
                }
                self.read_xmp(data);
            }
            b"eXIf" => self.read_exif(data),
            b"caBX" => self.declare(Declaration::ContentCredentials),
            _ => {}
        }
    }

    fn read_riff_chunk(&mut self, kind: [u8; 4], data: &[u8]) {
        match &kind {
            // Some writers keep JPEG's prefix.
            b"EXIF" => self.read_exif(data.strip_prefix(b"Exif\0\0").unwrap_or(data)),
            b"XMP " => self.read_xmp(data),
            b"C2PA" => self.declare(Declaration::ContentCredentials),
            _ => {}
        }
    }

    fn read_exif(&mut self, tiff: &[u8]) {
        self.exif = Exif::read(tiff);
        self.read_comment(tiff);
    }

    /// Looks for the parameter line that Stable Diffusion's front ends write, as bytes or as UTF-16 of either order.
    fn read_comment(&mut self, text: &[u8]) {
        let narrow = [b"Steps: ".as_slice(), b"Sampler: "];
        let wide = [b"S\0t\0e\0p\0s\0:\0 ".as_slice(), b"S\0a\0m\0p\0l\0e\0r\0:\0 "];
        if [narrow, wide].iter().any(|marks| marks.iter().all(|mark| memmem::find(text, mark).is_some())) {
            self.declare(Declaration::GeneratorParameters);
        }
    }

    /// Looks for IPTC's terms in XMP or in anything else that holds text; compositeWithTrainedAlgorithmicMedia has them too.
    fn read_xmp(&mut self, text: &[u8]) {
        const TERMS: [&[u8]; 2] = [b"rainedAlgorithmicMedia", b"algorithmicMedia"];
        if TERMS.iter().any(|term| memmem::find(text, term).is_some()) {
            self.declare(Declaration::DigitalSourceType);
        }
    }
}

/// The chunks of a PNG: type and data.
fn png_chunks(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = file.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let kind = *rest.get(4..)?.first_chunk()?;
        let end = length.checked_add(8)?;
        let data = rest.get(8..end)?;
        // A check sum of four bytes follows.
        rest = rest.get(end + 4..).unwrap_or_default();
        Some((kind, data))
    })
}

/// The chunks of a WebP: type and data.
fn riff_chunks(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = if file.starts_with(b"RIFF") { file.get(12..).unwrap_or_default() } else { &[] };
    std::iter::from_fn(move || {
        let kind = *rest.first_chunk()?;
        let length = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
        let end = length.checked_add(8)?;
        let data = rest.get(8..end)?;
        // Chunks of odd length are padded.
        rest = rest.get(end + length % 2..).unwrap_or_default();
        Some((kind, data))
    })
}

#[cfg(test)]
mod tests {
    use super::super::exif::tests::tiff;
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
        Declaration::ALL.into_iter().filter(|&declaration| metadata.declares(declaration)).collect()
    }

    #[test]
    fn generator_parameters_are_found_in_text() {
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
    fn declared_sources_and_credentials_are_found() {
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
    fn exif_is_found_in_every_container() {
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
