//! Truncated, damaged and malicious files.

use std::io::Cursor;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pixels::{DecodeError, Format, Limits, Warning, decode};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

fn golden_files() -> Vec<(PathBuf, Vec<u8>)> {
    let files = files_in("decode");
    assert!(files.len() > 30);
    files
}

fn files_in(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pixels").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "rgb"))
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Small JPEGs in many codings.
fn jpegs() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/jpeg/files");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn kind(bytes: &[u8]) -> &'static str {
    decode(bytes, &Limits::default()).unwrap_err().kind()
}

#[test]
fn files_that_are_not_images_have_the_right_error() {
    assert_eq!(kind(b""), "empty");
    assert_eq!(kind(b"<html>not found</html>"), "not_an_image");
    assert_eq!(kind(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"), "unsupported");
    assert_eq!(kind(b"\xFF\xD8\xFF"), "truncated");
}

#[test]
fn rejects_tiffs_with_unsupported_colours() {
    let files = files_in("refused");
    assert_eq!(files.len(), 5);
    for (path, bytes) in files {
        assert_eq!(kind(&bytes), "unsupported", "{}", path.display());
    }
}

#[test]
fn rejects_the_first_part_of_a_file() {
    for (path, bytes) in golden_files() {
        // The first frame of an animation ends early.
        let is_animated = path.file_stem().is_some_and(|stem| stem == "animated");
        let tenths_of_image = if is_animated { 3 } else { 7 };
        for tenths in 1..=tenths_of_image {
            let error = decode(&bytes[..bytes.len() * tenths / 10], &Limits::default());
            assert!(error.is_err(), "{tenths} tenths of {}", path.display());
        }
    }
}

#[test]
fn rejects_a_jpeg_without_its_last_blocks_as_truncated() {
    for (path, bytes) in golden_files() {
        let has_trailer = path.ends_with("trailing-bytes.jpg");
        if Format::of(&bytes) != Ok(Format::Jpeg) || has_trailer {
            continue;
        }
        for missing in [3, 4, 50] {
            let error = decode(&bytes[..bytes.len() - missing], &Limits::default()).unwrap_err();
            assert_eq!(error.kind(), "truncated", "{} less {missing}: {error}", path.display());
        }
    }
}

/// A PNG of 6x5 pixels, whose image data are in two chunks, followed by a text.
fn small_png() -> Vec<u8> {
    let pixel = |x, y| image::Rgb([(x * 40) as u8, (y * 50) as u8, (x * y * 9) as u8]);
    let mut encoded = Vec::new();
    image::RgbImage::from_fn(6, 5, pixel).write_to(&mut Cursor::new(&mut encoded), image::ImageFormat::Png).unwrap();
    let chunks = png_chunks(&encoded);
    let data: Vec<u8> =
        chunks.iter().filter(|(kind, _)| kind == b"IDAT").flat_map(|(_, at)| &encoded[at.clone()]).copied().collect();
    let (first, second) = data.split_at(data.len() / 2);
    let header = &encoded[chunks[0].1.clone()];
    let chunks = [(b"IHDR", header), (b"IDAT", first), (b"IDAT", second), (b"tEXt", b"Title\0a"), (b"IEND", b"")];
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        let body = [kind, data].concat();
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(&body);
        file.extend(crc32(&body).to_be_bytes());
    }
    file
}

/// The chunks of an intact PNG: type and place of the data.
fn png_chunks(file: &[u8]) -> Vec<([u8; 4], Range<usize>)> {
    let mut chunks = Vec::new();
    let mut at = 8;
    while at < file.len() {
        let length = u32::from_be_bytes(*file[at..].first_chunk().unwrap()) as usize;
        chunks.push((*file[at + 4..].first_chunk().unwrap(), at + 8..at + 8 + length));
        at += length + 12;
    }
    chunks
}

#[test]
fn changed_byte_in_the_data_of_a_png_is_an_error() {
    let mut file = small_png();
    let intact = decode(&file, &Limits::default()).unwrap();
    assert_eq!(intact.warning, None);
    let data: Vec<Range<usize>> =
        png_chunks(&file).into_iter().filter(|(kind, _)| kind == b"IDAT").map(|(_, at)| at).collect();
    assert_eq!(data.len(), 2);
    // The checksums of the chunks count as their data.
    for at in data.iter().flat_map(|data| data.start..data.end + 4) {
        for flipped in [1, 0x80, 0xff] {
            file[at] ^= flipped;
            let error = decode(&file, &Limits::default()).expect_err("a checksum is wrong");
            assert_eq!(error.kind(), "corrupt", "byte {at}: {error}");
            file[at] ^= flipped;
        }
    }
    assert_eq!(decode(&file, &Limits::default()).unwrap().rgb, intact.rgb);
}

#[test]
fn reads_a_png_that_lacks_only_its_end() {
    let file = small_png();
    let intact = decode(&file, &Limits::default()).unwrap().rgb;
    let image_end = png_chunks(&file)[2].1.end + 4;
    for length in image_end..file.len() {
        let decoded = decode(&file[..length], &Limits::default()).unwrap();
        assert_eq!(decoded.rgb, intact, "{length} bytes");
        assert_eq!(decoded.warning, Some(Warning::NoEndOfImage), "{length} bytes");
    }
    for length in 33..image_end {
        assert_eq!(kind(&file[..length]), "truncated", "{length} bytes");
    }
}

#[test]
fn pixel_limit_applies_to_every_format() {
    let limits = Limits { max_pixels: 29 * 21 - 1 };
    for (path, bytes) in golden_files() {
        match decode(&bytes, &limits) {
            Err(DecodeError::TooLarge { .. }) => {}
            other => panic!("{}: {other:?}", path.display()),
        }
    }
}

/// Images that are huge according to their headers must be rejected before memory is allocated.
#[test]
fn rejects_decompression_bombs_by_their_header() {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend_from_slice(&[0x00, 0x0F, 0, 0, 0x00, 0x0F, 0, 0, 8, 2, 0, 0, 0]);
    let crc = crc32(&png[12..]);
    png.extend_from_slice(&crc.to_be_bytes());
    png.extend_from_slice(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    assert_eq!(kind(&png), "too_large");

    // Within the pixel limit, but resizing such a long side would take gigabytes.
    png[16..24].copy_from_slice(&[0, 0, 0, 1, 0, 0x3D, 9, 0]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        decode(&png, &Limits::default()).unwrap_err().to_string(),
        "its size is 1x4000000, but sides may have at most 100000 pixels"
    );

    let (_, mut jpeg) = golden_files().into_iter().find(|(path, _)| path.ends_with("grey.jpg")).unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    assert_eq!(kind(&jpeg), "too_large");
}

/// The checksum of a PNG chunk (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Damaged files decode to an image or an error. They do not panic, hang or exhaust the memory.
    #[test]
    fn damaged_files_never_panic(damage in damage()) {
        FILES.with(|files| check_damaged(files, &damage))?;
    }

    #[test]
    fn damaged_jpegs_in_rare_codings_never_panic(damage in damage()) {
        JPEGS.with(|files| check_damaged(files, &damage))?;
    }
}

thread_local! {
    static FILES: Vec<Vec<u8>> = golden_files().into_iter().map(|(_, bytes)| bytes).collect();
    static JPEGS: Vec<Vec<u8>> = jpegs();
}

/// A choice of a file, new values of some bytes, and where to cut the file off.
#[derive(Debug)]
struct Damage {
    file: Index,
    bytes: Vec<(Index, u8)>,
    cut: Option<Index>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = prop::collection::vec((any::<Index>(), any::<u8>()), 1..12);
    (any::<Index>(), bytes, any::<Option<Index>>()).prop_map(|(file, bytes, cut)| Damage { file, bytes, cut })
}

fn check_damaged(files: &[Vec<u8>], damage: &Damage) -> Result<(), TestCaseError> {
    let mut file = damage.file.get(files).clone();
    for (position, value) in &damage.bytes {
        let position = position.index(file.len());
        file[position] = *value;
    }
    if let Some(cut) = damage.cut {
        file.truncate(cut.index(file.len()) + 1);
    }
    let limits = Limits { max_pixels: 1 << 20 };
    match decode(&file, &limits) {
        Ok(decoded) => {
            let pixels = u64::from(decoded.rgb.width()) * u64::from(decoded.rgb.height());
            prop_assert!(pixels <= limits.max_pixels);
        }
        Err(error) => prop_assert!(!error.to_string().contains("fault of the decoder"), "{error}"),
    }
    Ok(())
}
