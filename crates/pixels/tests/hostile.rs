//! Files that are cut short, damaged or made to hurt.

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
fn what_is_no_image_says_so() {
    assert_eq!(kind(b""), "empty");
    assert_eq!(kind(b"<html>not found</html>"), "not_an_image");
    assert_eq!(kind(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"), "unsupported");
    assert_eq!(kind(b"\xFF\xD8\xFF"), "truncated");
}

#[test]
fn tiffs_in_other_colours_are_refused() {
    let files = files_in("refused");
    assert_eq!(files.len(), 5);
    for (path, bytes) in files {
        assert_eq!(kind(&bytes), "unsupported", "{}", path.display());
    }
}

#[test]
fn a_third_of_a_file_is_an_error() {
    for (path, bytes) in golden_files() {
        let error = decode(&bytes[..bytes.len() / 3], &Limits::default());
        assert!(error.is_err(), "{}", path.display());
    }
}

#[test]
fn a_jpeg_without_its_last_bytes_is_truncated() {
    for (path, bytes) in golden_files() {
        let named_for_its_trailer = path.ends_with("trailing-bytes.jpg");
        if Format::of(&bytes) != Ok(Format::Jpeg) || named_for_its_trailer {
            continue;
        }
        for missing in [1, 2, 3, 50] {
            let error = decode(&bytes[..bytes.len() - missing], &Limits::default()).unwrap_err();
            assert_eq!(error.kind(), "truncated", "{} less {missing}: {error}", path.display());
        }
    }
}

#[test]
fn the_pixel_limit_holds_for_every_format() {
    let limits = Limits { max_pixels: 29 * 21 - 1 };
    for (path, bytes) in golden_files() {
        match decode(&bytes, &limits) {
            Err(DecodeError::TooLarge { .. }) => {}
            other => panic!("{}: {other:?}", path.display()),
        }
    }
}

/// Headers that announce far more pixels than the file has bytes: the error must come before the memory.
#[test]
fn a_bomb_is_refused_by_its_header() {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend_from_slice(&[0x00, 0x0F, 0, 0, 0x00, 0x0F, 0, 0, 8, 2, 0, 0, 0]);
    let crc = crc32(&png[12..]);
    png.extend_from_slice(&crc.to_be_bytes());
    png.extend_from_slice(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    assert_eq!(kind(&png), "too_large");

    // Few enough pixels, but a sliver whose resizing takes gigabytes.
    png[16..24].copy_from_slice(&[0, 0, 0, 1, 0, 0x3D, 9, 0]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        decode(&png, &Limits::default()).unwrap_err().to_string(),
        "1x4000000: a side of more than 100000 pixels is not read"
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

    /// Damaged files decode to something or to an error; they do not panic, hang or take the machine's memory.
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
