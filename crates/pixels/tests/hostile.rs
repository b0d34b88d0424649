//! Truncated, damaged and malicious files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use pixels::{DecodeError, Format, Limits, decode};
use proptest::prelude::*;

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
fn rejects_a_jpeg_without_its_last_bytes_as_truncated() {
    for (path, bytes) in golden_files() {
        let has_trailer = path.ends_with("trailing-bytes.jpg");
        if Format::of(&bytes) != Ok(Format::Jpeg) || has_trailer {
            continue;
        }
        for missing in [1, 2, 3, 50] {
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
    fn damaged_files_never_panic(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let files = golden_files();
        let mut bytes = which.get(&files).1.clone();
        for (position, value) in damage {
            let position = position.index(bytes.len());
            bytes[position] = value;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()) + 1);
        }
        let limits = Limits { max_pixels: 1 << 20 };
        match decode(&bytes, &limits) {
            Ok(decoded) => prop_assert!(
                u64::from(decoded.rgb.width()) * u64::from(decoded.rgb.height()) <= limits.max_pixels
            ),
            Err(error) => prop_assert!(!error.to_string().contains("panic"), "{error}"),
        }
    }
}
