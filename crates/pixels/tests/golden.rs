//! Comparison of decoding, resizing and degrading with Pillow, torchvision and SciPy (`tests/golden/pixels.py`).

use std::path::{Path, PathBuf};

use pixels::{Filter, Fit, Limits, RgbImage, decode, degrade, resize};
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    decode: Vec<DecodeCase>,
    filters: Vec<Filter>,
    resize: Vec<ResizeCase>,
    degrade: Vec<DegradeCase>,
}

#[derive(Deserialize)]
struct DecodeCase {
    file: String,
    width: u32,
    height: u32,
    greatest: u8,
    mean: f64,
}

#[derive(Deserialize)]
struct ResizeCase {
    file: String,
    width: u32,
    height: u32,
    sizes: Vec<u32>,
}

#[derive(Deserialize)]
struct DegradeCase {
    file: String,
    operation: String,
    value: f32,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pixels")
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = golden().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases() -> Cases {
    serde_json::from_slice(&read("cases.json")).unwrap()
}

fn source(case: &ResizeCase) -> RgbImage {
    RgbImage::new(case.width, case.height, read(Path::new("source").join(&case.file))).unwrap()
}

/// Returns the largest and the mean difference between the bytes of two images.
fn difference(ours: &[u8], theirs: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = differences.clone().map(u64::from).sum();
    (differences.max().unwrap_or(0), sum as f64 / ours.len() as f64)
}

#[test]
fn decoding_agrees_with_pillow() {
    let mut failures = Vec::new();
    for case in cases().decode {
        let file = read(Path::new("decode").join(&case.file));
        let expected = read(Path::new("decode").join(format!("{}.rgb", case.file)));
        let decoded = decode(&file, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", case.file));
        assert_eq!((decoded.rgb.width(), decoded.rgb.height()), (case.width, case.height), "{}", case.file);
        let (greatest, mean) = difference(decoded.rgb.data(), &expected);
        if greatest > case.greatest || mean > case.mean {
            failures.push(format!("{}: greatest {greatest}, mean {mean:.3}", case.file));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn resizing_equals_pillow() {
    let cases = cases();
    let mut failures = Vec::new();
    for case in &cases.resize {
        let source = source(case);
        let expected = read(Path::new("resize").join(&case.file));
        let mut expected = expected.as_slice();
        for (&filter, &size) in
            cases.filters.iter().flat_map(|filter| case.sizes.iter().map(move |size| (filter, size)))
        {
            for fit in [Fit::Squash, Fit::Crop] {
                let theirs = expected.split_off(..(size * size * 3) as usize).unwrap();
                let ours = resize(&source, size, filter, fit).unwrap();
                let (greatest, mean) = difference(ours.data(), theirs);
                if greatest > 0 {
                    failures.push(format!("{} {filter:?} {fit:?} {size}: {greatest}, mean {mean:.3}", case.file));
                }
            }
        }
        assert!(expected.is_empty(), "{}", case.file);
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn degradations_agree_with_scipy_and_pillow() {
    let cases = cases();
    let source = source(&cases.resize[0]);
    let mut failures = Vec::new();
    for case in &cases.degrade {
        let (ours, tolerance, mean_tolerance) = match case.operation.as_str() {
            "blur" => (degrade::gaussian_blur(&source, case.value).unwrap(), 1, 0.01),
            // The forward transforms round differently, so that coefficients near a half may differ by one.
            "jpeg" => (degrade::jpeg(&source, case.value as u8).unwrap(), 8, 0.75),
            other => panic!("unknown operation {other}"),
        };
        let expected = read(Path::new("degrade").join(&case.file));
        let (greatest, mean) = difference(ours.data(), &expected);
        if greatest > tolerance || mean > mean_tolerance {
            failures.push(format!("{}: greatest {greatest}, mean {mean:.3}", case.file));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
