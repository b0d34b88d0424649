//! Truncated, damaged and malicious files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use pixels::{DecodeError, Format, Limits, decode};
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
fn rejects_the_first_third_of_a_file() {
    for (path, bytes) in golden_files() {
        let error = decode(&bytes[..bytes.len() / 3], &Limits::default());
        assert!(error.is_err(), "{}", path.display());
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
