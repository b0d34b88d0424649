//! Comparison with libjpeg-turbo over many codings (`tests/golden/jpeg.py`), and damaged files.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    pixels: String,
    width: u32,
    height: u32,
    codings: Vec<String>,
}

fn golden(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/jpeg").join(path)
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(golden(format!("files/{name}.jpg"))).unwrap()
}

/// Returns name, file and expected image of each case.
fn cases() -> Vec<(String, Vec<u8>, RgbImage)> {
    let cases: Cases = serde_json::from_slice(&std::fs::read(golden("cases.json")).unwrap()).unwrap();
    let mut all = Vec::new();
    for case in cases.cases {
        let pixels = std::fs::read(golden(format!("pixels/{}.rgb", case.pixels))).unwrap();
        let image = RgbImage::new(case.width, case.height, pixels).unwrap();
        for coding in case.codings {
            let name = format!("{}-{coding}", case.pixels);
            all.push((name.clone(), file(&name), image.clone()));
        }
    }
    all
}

#[test]
fn every_coding_has_the_pixels_of_libjpeg_turbo() {
    let mut failures = Vec::new();
    for (name, file, expected) in cases() {
        let decoded = decode(&file, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(decoded.warning, None, "{name}");
        if decoded.rgb != expected {
            failures.push(name);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

fn outcome(file: &[u8]) -> Result<Option<Warning>, DecodeError> {
    decode(file, &Limits::default()).map(|decoded| decoded.warning)
}

/// The position after the first scan header.
fn start_of_data(file: &[u8]) -> usize {
    let header = file.windows(2).position(|pair| pair == [0xFF, markers::code::SOS]).unwrap();
    header + 2 + usize::from(file[header + 3])
}

const END: [u8; 2] = [0xFF, markers::code::EOI];

#[test]
fn rejects_data_that_end_early_and_names_the_missing_share() {
    for name in ["420-19x34-one", "444-29x21-one-restart-unit"] {
        let file = file(name);
        let mut least = 100.0;
        for cut in start_of_data(&file)..file.len() - 2 {
            // An escaped byte or a marker is not cut in the middle.
            if file[cut - 1] == 0xFF {
                continue;
            }
            let error = outcome(&[&file[..cut], &END].concat()).expect_err(name);
            assert_eq!(error.kind(), "truncated", "{name} at {cut}: {error}");
            assert_eq!(outcome(&file[..cut]).expect_err(name), error, "{name} at {cut}");
            let text = error.to_string();
            let share = text.split('%').next().and_then(|text| text.rsplit(' ').next()).unwrap();
            let share: f64 = share.parse().unwrap();
            assert!(0.0 < share && share <= least, "{name} at {cut}: {text}");
            least = share;
        }
        assert!(least < 30.0, "{name}: {least}");
    }
}

#[test]
fn rejects_files_whose_last_scans_are_cut_off() {
    for name in ["422-29x21-per-component", "420-29x21-luma-first-restart-row", "420-29x21-progressive"] {
        let file = file(name);
        for cut in start_of_data(&file)..file.len() - 2 {
            if file[cut - 1] != 0xFF {
                assert!(outcome(&file[..cut]).is_err(), "{name} at {cut}");
                assert!(outcome(&[&file[..cut], &END].concat()).is_err(), "{name} at {cut}");
            }
        }
    }
}

#[test]
fn reads_a_file_that_lacks_only_its_end() {
    for (name, file, _) in cases() {
        let length = file.len();
        for without_end in [&file[..length - 1], &file[..length - 2]] {
            assert_eq!(outcome(without_end), Ok(Some(Warning::NoEndOfImage)), "{name}");
        }
        assert_eq!(outcome(&file[..length - 3]).unwrap_err().kind(), "truncated", "{name}");
    }
}

#[test]
fn rejects_progressive_files_without_their_last_scans() {
    let file = file("420-29x21-progressive");
    let scans: Vec<usize> = memchr::memmem::find_iter(&file, &[0xFF, markers::code::SOS]).collect();
    assert!(scans.len() > 5);
    // Ends before a Huffman table or a scan.
    let tables: Vec<usize> = memchr::memmem::find_iter(&file, &[0xFF, markers::code::DHT]).collect();
    for &cut in tables.iter().chain(&scans).filter(|&&cut| cut > scans[0]) {
        let error = outcome(&[&file[..cut], &END].concat()).unwrap_err();
        assert_eq!(error.to_string(), "truncated: the last scans of the image data are missing");
    }
}

#[test]
fn warns_of_bytes_that_are_left_over() {
    for name in ["420-29x21-one", "420-29x21-per-component", "420-29x21-progressive"] {
        let file = file(name);
        let longer = [&file[..file.len() - 2], &[0x55; 7], &END].concat();
        assert_eq!(outcome(&longer), Ok(Some(Warning::UnreadData { bytes: 7 })), "{name}");
    }
}

#[test]
fn rejects_missing_and_exchanged_restart_intervals() {
    let file = file("444-29x21-one-restart-unit");
    let at = |number: u8| memchr::memmem::find(&file, &[0xFF, markers::code::RST0 + number]).unwrap();
    let (second, third, fourth) = (at(1), at(2), at(3));
    let missing = [&file[..second], &file[third..]].concat();
    let exchanged = [&file[..second], &file[third..fourth], &file[second..third], &file[fourth..]].concat();
    for (file, share) in [(missing, "8.3%"), (exchanged, "%")] {
        let error = outcome(&file).unwrap_err();
        assert!(error.kind() == "corrupt" && error.to_string().contains(share), "{error}");
    }
}

#[test]
fn rejects_an_invalid_huffman_code() {
    let counts = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let table = bits::Table::new(&counts, &[3]).unwrap();
    let mut bits = bits::Bits::new(&[0b0010_1111], 0);
    assert_eq!(bits.symbol(&table).unwrap(), 3);
    assert_eq!(bits.value(3), 5);
    assert!(bits.symbol(&table).is_err());
    assert!(bits::Table::new(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[1, 2, 3]).is_none());
}

#[test]
fn names_codings_that_are_not_read() {
    let mut file = file("420-29x21-one");
    let frame = memchr::memmem::find(&file, &[0xFF, markers::code::SOF0]).unwrap();
    for (marker, text) in [(0xC9, "arithmetic coding"), (0xC3, "lossless coding"), (0xC5, "hierarchical coding")] {
        file[frame + 1] = marker;
        let error = outcome(&file).unwrap_err().to_string();
        assert!(error.starts_with("unsupported: ") && error.contains(text), "{error}");
    }
}
