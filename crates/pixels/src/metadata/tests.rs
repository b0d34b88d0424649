use super::fixtures::{
    EXTENDED, deflate, gif, jpeg, manifest_store, png, tiff_of_tags, tiff_of_values, webp, xmp_with,
};
use super::*;
use Declaration::{ContentCredentials, DigitalSourceType, GeneratorParameters};

const SETTINGS: &str = "a cat\nSteps: 20, Sampler: Euler";

fn declared(file: &[u8], format: Format) -> Vec<Declaration> {
    let metadata = Metadata::read(file, format);
    let declared: Vec<_> = Declaration::ALL.into_iter().filter(|&kind| metadata.declares(kind)).collect();
    let read = Declared::read(file, format);
    assert!(read.iter().all(|found| metadata.declares(found.kind)), "{read:?}");
    if !has_comment(file, format) {
        assert_eq!(read.len(), declared.len(), "{read:?}");
    }
    declared
}

fn has_comment(file: &[u8], format: Format) -> bool {
    Statements::read(file, format).texts.iter().any(|text| text.place == Place::Comment)
}

#[test]
fn comments_declare_nothing() {
    let block = [b"\x21\xfe\x1f".as_slice(), SETTINGS.as_bytes(), b"\0"].concat();
    for (file, format) in [(jpeg(&[(0xfe, SETTINGS.as_bytes())]), Format::Jpeg), (gif(&block), Format::Gif)] {
        assert_eq!(Declared::read(&file, format), [], "{format}");
        assert!(Statements::read(&file, format).texts[0].is_comment_like_parameters(), "{format}");
    }
}

/// Returns the text of the only declaration.
fn text(file: &[u8], format: Format) -> String {
    let mut read = Declared::read(file, format);
    assert_eq!(read.len(), 1, "{format}");
    read.remove(0).text
}

fn source_type() -> String {
    xmp_with(
        "<rdf:Description Iptc4xmpExt:DigitalSourceType='http://cv.iptc.org/newscodes/digitalsourcetype/\
         trainedAlgorithmicMedia'/>",
    )
}

fn in_jpeg(packet: &str) -> Vec<u8> {
    [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), packet.as_bytes()].concat()
}

#[test]
fn finds_generator_parameters_in_every_container() {
    let wide: Vec<u8> = SETTINGS.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let comment = [b"UNICODE\0".as_slice(), &wide].concat();
    let tiff = tiff_of_values(&[(0x9286, &comment)]);
    let exif = [b"Exif\0\0".as_slice(), &tiff].concat();
    let compressed = deflate(SETTINGS.as_bytes());
    let block = [b"\x21\xfe\x1f".as_slice(), SETTINGS.as_bytes(), b"\0"].concat();
    let xmp = xmp_with(&format!(
        "<rdf:Description><exif:UserComment><rdf:Alt><rdf:li>{SETTINGS}</rdf:li></rdf:Alt></exif:UserComment>\
         </rdf:Description>"
    ));
    for (file, format) in [
        (png(&[(b"tEXt", format!("parameters\0{SETTINGS}").as_bytes())]), Format::Png),
        (png(&[(b"iTXt", format!("parameters\0\0\0\0\0{SETTINGS}").as_bytes())]), Format::Png),
        (png(&[(b"zTXt", &[b"parameters\0\0".as_slice(), &compressed].concat())]), Format::Png),
        (png(&[(b"iTXt", &[b"parameters\0\x01\0\0\0".as_slice(), &compressed].concat())]), Format::Png),
        (png(&[(b"eXIf", &tiff)]), Format::Png),
        (jpeg(&[(0xfe, SETTINGS.as_bytes())]), Format::Jpeg),
        (jpeg(&[(0xfe, &wide)]), Format::Jpeg),
        (jpeg(&[(0xe1, &exif)]), Format::Jpeg),
        (jpeg(&[(0xe1, &in_jpeg(&xmp))]), Format::Jpeg),
        (webp(&[(b"EXIF", &exif)]), Format::WebP),
        (tiff, Format::Tiff),
        (gif(&block), Format::Gif),
    ] {
        assert_eq!(declared(&file, format), [GeneratorParameters], "{format}");
        if !has_comment(&file, format) {
            assert_eq!(text(&file, format), SETTINGS, "{format}");
        }
        for length in 0..file.len() {
            let _ = Declared::read(&file[..length], format);
        }
    }
}

#[test]
fn other_text_declares_nothing() {
    let innocent = b"prompt\0please enter the door code at the prompt".as_slice();
    for chunk in [innocent, b"Title\0parameters", b"parameters\0", b"Title\0Steps: 20, Sampler: Euler"] {
        assert_eq!(declared(&png(&[(b"tEXt", chunk)]), Format::Png), []);
    }
    assert_eq!(declared(&jpeg(&[(0xfe, b"Steps: to the Sampler: ")]), Format::Jpeg), []);
}

#[test]
fn finds_source_types_in_every_container() {
    let packet = source_type();
    let little: Vec<u8> = format!("\u{feff}{packet}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), &little].concat();
    let compressed = [b"XML:com.adobe.xmp\0\x01\0\0\0".as_slice(), &deflate(packet.as_bytes())].concat();
    let resources =
        [b"Photoshop 3.0\x008BIM\x04\x24\0\0".as_slice(), &(packet.len() as u32).to_be_bytes(), packet.as_bytes()]
            .concat();
    let digits: String = packet.bytes().map(|byte| format!("{byte:02x}")).collect();
    let profile = format!("Raw profile type xmp\0\nxmp\n {}\n{digits}\n", packet.len());
    let trailer: Vec<u8> = [1].into_iter().chain((0..=255).rev()).chain([0]).collect();
    let extension = [b"\x21\xff\x0bXMP DataXMP".as_slice(), packet.as_bytes(), &trailer].concat();
    for (file, format) in [
        (jpeg(&[(0xe1, &in_jpeg(&packet))]), Format::Jpeg),
        (jpeg(&[(0xe1, &wide)]), Format::Jpeg),
        (jpeg(&[(0xed, &resources)]), Format::Jpeg),
        (png(&[(b"iTXt", &compressed)]), Format::Png),
        (png(&[(b"tEXt", profile.as_bytes())]), Format::Png),
        (webp(&[(b"VP8 ", b"abc"), (b"XMP ", packet.as_bytes())]), Format::WebP),
        (tiff_of_values(&[(0x02bc, packet.as_bytes())]), Format::Tiff),
        (tiff_of_values(&[(0x8649, &resources[14..])]), Format::Tiff),
        (gif(&extension), Format::Gif),
    ] {
        assert_eq!(declared(&file, format), [DigitalSourceType], "{format}");
        assert_eq!(text(&file, format), "trainedAlgorithmicMedia");
    }
}

#[test]
fn reads_extended_xmp() {
    let digest = [b'7'; 32];
    let name = String::from_utf8(digest.to_vec()).unwrap();
    let main = in_jpeg(&xmp_with(&format!("<rdf:Description xmpNote:HasExtendedXMP='{name}'/>")));
    let packet = source_type();
    let part = |offset: usize, end: usize| {
        let numbers = [packet.len() as u32, offset as u32].map(u32::to_be_bytes).concat();
        [EXTENDED, &digest, &numbers, &packet.as_bytes()[offset..end]].concat()
    };
    let (first, second) = (part(0, 100), part(100, packet.len()));
    let file = jpeg(&[(0xe1, &main), (0xe1, &first), (0xe1, &second)]);
    assert_eq!(declared(&file, Format::Jpeg), [DigitalSourceType]);
    assert_eq!(declared(&jpeg(&[(0xe1, &main), (0xe1, &second)]), Format::Jpeg), []);
    assert_eq!(declared(&jpeg(&[(0xe1, &first), (0xe1, &second)]), Format::Jpeg), []);
}

#[test]
fn finds_content_credentials_and_does_not_check_them() {
    let store = manifest_store();
    let segment = [b"JP\0\x01\0\0\0\x01".as_slice(), &store].concat();
    let extension = [b"\x21\xff\x0bC2PA_GIF\x01\0\0".as_slice(), &[store.len() as u8], &store, b"\0"].concat();
    for (file, format) in [
        (jpeg(&[(0xeb, &segment)]), Format::Jpeg),
        (png(&[(b"caBX", &store)]), Format::Png),
        (webp(&[(b"C2PA", &store)]), Format::WebP),
        (tiff_of_values(&[(0xcd41, &store)]), Format::Tiff),
        (gif(&extension), Format::Gif),
    ] {
        assert_eq!(declared(&file, format), [ContentCredentials], "{format}");
        assert_eq!(text(&file, format), "not checked");
    }
    // Other boxes of JUMBF.
    let other = b"\0\0\0\x20jumb\0\0\0\x18jumd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let segment = [b"JP\0\x01\0\0\0\x01".as_slice(), other].concat();
    assert_eq!(declared(&jpeg(&[(0xeb, &segment), (0xeb, b"JP")]), Format::Jpeg), []);
    assert_eq!(declared(&png(&[(b"caBX", other), (b"caBX", b"")]), Format::Png), []);
}

#[test]
fn nothing_counts_after_the_end_or_in_pixels() {
    let chunk = format!("parameters\0{SETTINGS}");
    let text: (&[u8; 4], &[u8]) = (b"tEXt", chunk.as_bytes());
    assert_eq!(declared(&png(&[(b"IEND", b""), text]), Format::Png), []);
    let inner = png(&[text]);
    assert_eq!(declared(&png(&[(b"IDAT", &inner[8..])]), Format::Png), []);

    let packet = in_jpeg(&source_type());
    let segments = jpeg(&[(0xe1, &packet)]);
    assert_eq!(declared(&[&jpeg(&[]), &segments[2..]].concat(), Format::Jpeg), []);
    assert_eq!(declared(&jpeg(&[(0xe2, &packet), (0xe1, source_type().as_bytes())]), Format::Jpeg), []);

    let chunks = webp(&[(b"XMP ", source_type().as_bytes())]);
    assert_eq!(declared(&[&webp(&[(b"VP8 ", b"")]), &chunks[12..]].concat(), Format::WebP), []);
    let after = [gif(b"").as_slice(), b"\x21\xfe\x1f", SETTINGS.as_bytes(), b"\0\x3b"].concat();
    assert_eq!(declared(&after, Format::Gif), []);
    assert_eq!(declared(&[&tiff_of_values(&[(0x0100, b"\x01")]), source_type().as_bytes()].concat(), Format::Tiff), []);
}

#[test]
fn texts_are_cut_at_the_limit() {
    let long = format!("parameters\0{} {SETTINGS}", "Größe ".repeat(100));
    let file = png(&[(b"tEXt", long.as_bytes())]);
    assert_eq!(text(&file, Format::Png).chars().count(), Declared::MAX_CHARS);
}

#[test]
fn finds_exif_in_every_container() {
    let tags = tiff_of_tags(&[0x010f], &[]);
    let prefixed = [b"Exif\0\0".as_slice(), &tags].concat();
    let digits: String = tags.iter().map(|byte| format!("{byte:02x}")).collect();
    let profile = format!("Raw profile type exif\0\nexif\n {}\n{digits}\n", tags.len());
    for (file, format) in [
        (jpeg(&[(0xe1, &prefixed)]), Format::Jpeg),
        (png(&[(b"eXIf", &tags)]), Format::Png),
        (png(&[(b"tEXt", profile.as_bytes())]), Format::Png),
        (webp(&[(b"EXIF", &prefixed)]), Format::WebP),
    ] {
        assert!(Metadata::read(&file, format).exif.has(0), "{format}");
        for length in 0..file.len() {
            let _ = Metadata::read(&file[..length], format);
        }
    }
    assert!(!Metadata::read(&tags, Format::Tiff).exif.is_present());
}
