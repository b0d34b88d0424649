//! Images without pixels whose metadata reach each parser of metadata.

use std::io::Write;

use artifacts::stage::Failure;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use testing::containers::{self, gif, jpeg, manifest_store, tiff, webp};

/// What precedes XMP in a segment of a JPEG.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// What precedes a part of extended XMP in a segment of a JPEG.
const EXTENDED: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
/// Parameters as the web UI of Automatic1111 writes them.
const PARAMETERS: &str = "a cat\nNegative prompt: a dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Model: m";
/// A graph of ComfyUI, with a circle.
const GRAPH: &[u8] = br#"{"3": {"class_type": "KSampler", "inputs": {"seed": ["5", 0], "steps": 20, "cfg": 7.5, "positive": ["4", 0]}}, "4": {"class_type": "StringConcatenate", "inputs": {"string_a": ["4", 0], "string_b": "a hat"}}, "5": {"class_type": "Seed", "inputs": {"seed": 5}}}"#;

/// An image without pixels.
pub(super) struct Seed {
    /// The metadata and the container.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests say by name which file fails"))]
    pub(super) name: &'static str,
    pub(super) file: Vec<u8>,
}

/// Makes the images.
///
/// # Errors
/// A text cannot be compressed.
pub(super) fn seeds() -> Result<Vec<Seed>, Failure> {
    let all = [xmp_seeds()?, text_seeds()?, exif_seeds(), manifest_seeds()];
    Ok(all.into_iter().flatten().map(|(name, file)| Seed { name, file }).collect())
}

/// XMP in every place where containers have it.
fn xmp_seeds() -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    let packet = source_type();
    let packet = packet.as_bytes();
    let in_jpeg = |packet: &[u8]| [XMP, packet].concat();
    let wide: Vec<u8> = source_type().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let resources = photoshop(packet);
    let profile = raw_profile("xmp", packet);
    let compressed = [b"XML:com.adobe.xmp\0\x01\0\0\0".as_slice(), &deflate(packet, Compression::fast())?].concat();
    Ok(vec![
        ("XMP in a JPEG", jpeg(&[(0xe1, &in_jpeg(packet))])),
        ("XMP in UTF-16 in a JPEG", jpeg(&[(0xe1, &in_jpeg(&[b"\xff\xfe", wide.as_slice()].concat()))])),
        ("XMP with texts in a JPEG", jpeg(&[(0xe1, &in_jpeg(comments().as_bytes()))])),
        ("extended XMP in a JPEG", extended()),
        ("XMP in Photoshop's resources in a JPEG", jpeg(&[(0xed, &resources)])),
        ("XMP in iTXt", png(&[(b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0".as_slice(), packet].concat())])),
        ("XMP in compressed iTXt", png(&[(b"iTXt", &compressed)])),
        ("XMP in a profile of ImageMagick", png(&[(b"tEXt", &profile)])),
        ("XMP in a WebP", webp(&[(b"VP8 ", b"abc"), (b"XMP ", packet)])),
        ("XMP in a TIFF", tiff(&[(0x02bc, 7, packet)])),
        ("XMP in Photoshop's resources in a TIFF", tiff(&[(0x8649, 7, &resources[14..])])),
        ("XMP in a GIF", gif(&xmp_extension(packet))),
    ])
}

/// Texts and comments.
fn text_seeds() -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    let text = PARAMETERS.as_bytes();
    // Without compression, damage to the text leaves the stream valid up to its checksum.
    let (fast, stored) = (deflate(text, Compression::fast())?, deflate(text, Compression::none())?);
    let wide: Vec<u8> = PARAMETERS.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let block = [b"\x21\xfe".as_slice(), &[text.len() as u8], text, b"\0"].concat();
    let two = [(b"tEXt", &[b"parameters\0".as_slice(), text].concat()[..]), (b"tEXt", &[b"prompt\0", GRAPH].concat())];
    Ok(vec![
        ("text in tEXt", png(&two)),
        ("text in iTXt", png(&[(b"iTXt", &[b"parameters\0\0\0en\0Parameters\0".as_slice(), text].concat())])),
        ("text in compressed iTXt", png(&[(b"iTXt", &[b"parameters\0\x01\0en\0\0".as_slice(), &fast].concat())])),
        ("text in zTXt", png(&[(b"zTXt", &[b"parameters\0\0".as_slice(), &fast].concat())])),
        ("text in stored zTXt", png(&[(b"zTXt", &[b"parameters\0\0".as_slice(), &stored].concat())])),
        ("text in a comment of a JPEG", jpeg(&[(0xfe, text)])),
        ("text in a UTF-16 comment of a JPEG", jpeg(&[(0xfe, &wide)])),
        ("text in a comment of a GIF", gif(&block)),
    ])
}

/// EXIF in every container.
fn exif_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let fields = exif();
    let prefixed = [b"Exif\0\0".as_slice(), &fields].concat();
    vec![
        ("EXIF in a JPEG", jpeg(&[(0xe1, &prefixed)])),
        ("EXIF in a PNG", png(&[(b"eXIf", &fields)])),
        ("EXIF in a profile of ImageMagick", png(&[(b"tEXt", &raw_profile("exif", &fields))])),
        ("EXIF in a WebP", webp(&[(b"EXIF", &prefixed)])),
        ("EXIF fields of a TIFF", fields),
    ]
}

/// An empty C2PA manifest store in the boxes of JUMBF, in every container.
fn manifest_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let store = manifest_store();
    let segment = [b"JP\0\x01\0\0\0\x01".as_slice(), &store].concat();
    let extension = [b"\x21\xff\x0bC2PA_GIF\x01\0\0".as_slice(), &[store.len() as u8], &store, b"\0"].concat();
    vec![
        ("manifest in a JPEG", jpeg(&[(0xeb, &segment)])),
        ("manifest in a PNG", png(&[(b"caBX", &store)])),
        ("manifest in a WebP", webp(&[(b"C2PA", &store)])),
        ("manifest in a TIFF", tiff(&[(0xcd41, 7, &store)])),
        ("manifest in a GIF", gif(&extension)),
    ]
}

/// A packet of XMP with these descriptions.
fn xmp_with(content: &str) -> String {
    format!(
        "<?xpacket begin=\"\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF \
         xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">{content}</rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>"
    )
}

/// A packet that declares a generated image.
fn source_type() -> String {
    xmp_with(
        "<rdf:Description xmlns:i=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" i:DigitalSourceType=\"\
         http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\"/>",
    )
}

/// A packet with a comment, a description and the address of Content Credentials.
fn comments() -> String {
    xmp_with(&format!(
        "<rdf:Description xmlns:e=\"http://ns.adobe.com/exif/1.0/\" xmlns:d=\"http://purl.org/dc/elements/1.1/\" \
         xmlns:t=\"http://purl.org/dc/terms/\" t:provenance=\"https://example.org/a.c2pa\"><e:UserComment><rdf:Alt>\
         <rdf:li>{PARAMETERS}</rdf:li></rdf:Alt></e:UserComment><d:description>a &amp; b</d:description>\
         </rdf:Description>"
    ))
}

/// A JPEG with extended XMP in two parts.
fn extended() -> Vec<u8> {
    let digest = "0123456789ABCDEF0123456789ABCDEF";
    let main = xmp_with(&format!(
        "<rdf:Description xmlns:n=\"http://ns.adobe.com/xmp/note/\" n:HasExtendedXMP=\"{digest}\"/>"
    ));
    let packet = source_type().into_bytes();
    let part = |offset: usize, data: &[u8]| {
        let numbers = [packet.len() as u32, offset as u32].map(u32::to_be_bytes).concat();
        [EXTENDED, digest.as_bytes(), &numbers, data].concat()
    };
    let (first, second) = packet.split_at(100);
    jpeg(&[(0xe1, &[XMP, main.as_bytes()].concat()), (0xe1, &part(0, first)), (0xe1, &part(100, second))])
}

/// Image resources of Photoshop: one with a name and odd lengths, then XMP.
fn photoshop(packet: &[u8]) -> Vec<u8> {
    let first = b"Photoshop 3.0\x008BIM\x04\x04\x02ab\0\0\0\0\x03abc\0";
    [first.as_slice(), b"8BIM\x04\x24\0\0", &(packet.len() as u32).to_be_bytes(), packet].concat()
}

/// A text of a PNG in which ImageMagick keeps a profile.
fn raw_profile(kind: &str, profile: &[u8]) -> Vec<u8> {
    let digits: String = profile.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Raw profile type {kind}\0\n{kind}\n {}\n{digits}\n", profile.len()).into_bytes()
}

/// The extension of a GIF that has XMP.
fn xmp_extension(packet: &[u8]) -> Vec<u8> {
    let trailer: Vec<u8> = [1].into_iter().chain((0..=255).rev()).chain([0]).collect();
    [b"\x21\xff\x0bXMP DataXMP".as_slice(), packet, &trailer].concat()
}

/// A TIFF structure with texts, numbers of the camera and a comment in UTF-16.
fn exif() -> Vec<u8> {
    let comment: Vec<u8> = PARAMETERS.encode_utf16().flat_map(u16::to_be_bytes).collect();
    tiff(&[
        (0x010f, 2, b"A maker\0"),
        (0x0110, 2, b"A camera\0"),
        (0x829a, 5, b"\x01\0\0\0\x64\0\0\0"),
        (0x8827, 3, b"\x64\0"),
        (0x9286, 7, &[b"UNICODE\0".as_slice(), &comment].concat()),
    ])
}

/// Compresses data as zlib does.
fn deflate(data: &[u8], level: Compression) -> Result<Vec<u8>, Failure> {
    let mut encoder = ZlibEncoder::new(Vec::new(), level);
    encoder.write_all(data).map_err(Failure::failed)?;
    encoder.finish().map_err(Failure::failed)
}

/// A PNG with a header, these chunks, and an end.
fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let header: (&[u8; 4], &[u8]) = (b"IHDR", b"\0\0\0\x08\0\0\0\x08\x08\x02\0\0\0");
    containers::png(&[&[header], chunks, &[(b"IDAT", b""), (b"IEND", b"")]].concat())
}

#[cfg(test)]
mod tests {
    use pixels::Format;
    use pixels::metadata::{Metadata, Statements};

    use super::*;

    #[test]
    fn each_seed_reaches_its_parser() {
        let mut kinds = [0; 4];
        for Seed { name, file } in seeds().unwrap() {
            let format = Format::of(&file).unwrap();
            let found = Statements::read(&file, format);
            let is_text = found.texts.iter().any(|text| text.text == PARAMETERS);
            match name {
                "XMP with texts in a JPEG" => {
                    assert!(is_text && found.texts.iter().any(|text| text.text == "a & b"), "{name}: {found:?}");
                    assert_eq!(found.remote_manifest.as_deref(), Some("https://example.org/a.c2pa"));
                }
                _ if name.contains("XMP") => {
                    assert_eq!(found.source_type.as_deref(), Some("trainedAlgorithmicMedia"), "{name}");
                    kinds[0] += 1;
                }
                _ if name.starts_with("text") => {
                    assert!(is_text, "{name}: {found:?}");
                    kinds[1] += 1;
                }
                _ if name.starts_with("EXIF") => {
                    assert!(is_text, "{name}: {found:?}");
                    assert_eq!(found.camera["model"], "A camera", "{name}");
                    assert_eq!(found.camera["sensitivity"], "ISO 100", "{name}");
                    assert_eq!(Metadata::read(&file, format).exif.is_present(), format != Format::Tiff, "{name}");
                    kinds[2] += 1;
                }
                _ => {
                    assert!(found.has_manifest, "{name}: {found:?}");
                    kinds[3] += 1;
                }
            }
        }
        assert_eq!(kinds, [11, 8, 5, 5]);
    }
}
