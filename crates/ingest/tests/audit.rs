//! The audit on real images and on planted near-duplicates.

use std::path::{Path, PathBuf};

use artifacts::schema::{Audit, Verdict};
use artifacts::{Label, Split};
use ingest::audit::{Observation, Pair, audit, near_duplicates, to_drop};
use pixels::encode::{self, Subsampling};
use pixels::{Decoded, Filter, Limits, RgbImage, decode, resize_to};
use rayon::prelude::*;

/// Decodes all files, with the labels and splits of their folders.
fn load(folder: &Path) -> Vec<(String, Vec<u8>, Decoded, Label, Split)> {
    let mut paths: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.into_path())
        .collect();
    paths.sort();
    paths
        .into_par_iter()
        .filter_map(|path| {
            let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
            let label = parts.iter().rev().find_map(|part| Label::from_name(part)).unwrap();
            let split = parts.iter().rev().find_map(|part| Split::from_name(part)).unwrap_or(Split::Train);
            let file = std::fs::read(&path).unwrap();
            let decoded = decode(&file, &Limits::default()).ok()?;
            Some((path.display().to_string(), file, decoded, label, split))
        })
        .collect()
}

fn observe(folder: &Path) -> (Vec<String>, Vec<Observation>) {
    load(folder)
        .into_iter()
        .map(|(path, file, decoded, label, split)| (path, Observation::new(&file, &decoded, label, split)))
        .unzip()
}

fn report(images: &[Observation]) -> (Vec<Pair>, Audit) {
    let images: Vec<&Observation> = images.iter().collect();
    let pairs = near_duplicates(&images);
    let report = audit(&images, &pairs, |image| image.to_string());
    (pairs, report)
}

#[test]
fn warns_of_mixed_formats() {
    let Some(folder) = testing::shared("data/mixed-formats") else { return };
    let (_, report) = report(&observe(&folder).1);
    assert_eq!(report.verdict, Verdict::Warning);
    let strongest = &report.shortcuts[0];
    assert_eq!(strongest.feature, "format");
    assert!(strongest.roc_auc.unwrap() > 0.99);
    assert!(strongest.explanation.contains("png"), "{}", strongest.explanation);
}

#[test]
fn faces_pass_with_hardly_any_pairs() {
    let Some(folder) = testing::shared("data/faces") else { return };
    let (pairs, report) = report(&observe(&folder).1);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.shortcuts);
    eprintln!("{} pairs among {} faces", pairs.len(), report.images);
    assert!((pairs.len() as u64) * 1000 < report.images, "{:?}", report.near_duplicates.pairs);
}

/// Makes a near-duplicate of an image.
fn changed(image: &RgbImage, way: usize) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let resized = |scale: f32| {
        let side = |side: u32| ((side as f32 * scale) as u32).max(1);
        resize_to(image, side(width), side(height), Filter::Bicubic).unwrap()
    };
    match way % 4 {
        0 => resized(0.5),
        1 => resized(1.4),
        2 => decode(&encode::jpeg(image, 60, Subsampling::Quarter).unwrap(), &Limits::default()).unwrap().rgb,
        _ => {
            // A crop of 94% of each side at a varying position, flipped.
            let (left, top) = (width * (way as u32 % 7) / 100, height * (way as u32 % 5) / 100);
            let mut cropped = pixels::degrade::crop(image, left, top, width * 94 / 100, height * 94 / 100).unwrap();
            pixels::degrade::flip_horizontal(&mut cropped);
            cropped
        }
    }
}

#[test]
fn finds_planted_near_duplicates() {
    let Some(folder) = testing::shared("data/faces") else { return };
    let files = load(&folder);
    let mut images: Vec<Observation> =
        files.iter().map(|(_, file, decoded, label, split)| Observation::new(file, decoded, *label, *split)).collect();
    let originals = images.len();
    for (way, (_, _, decoded, label, _)) in files.iter().step_by(files.len() / 200).take(200).enumerate() {
        let file = encode::jpeg(&changed(&decoded.rgb, way), 80, Subsampling::Quarter).unwrap();
        let again = decode(&file, &Limits::default()).unwrap();
        images.push(Observation::new(&file, &again, *label, Split::Train));
    }
    let (pairs, _) = report(&images);
    let source = |planted: usize| (planted - originals) * (originals / 200);
    let missed: Vec<usize> = (originals..images.len())
        .filter(|&planted| !pairs.iter().any(|pair| (pair.first, pair.second) == (source(planted), planted)))
        .map(|planted| (planted - originals) % 4)
        .collect();
    let others = pairs.iter().filter(|pair| pair.second < originals || pair.first != source(pair.second)).count();
    eprintln!("{} of 200 missed (ways {missed:?}), {others} other pairs", missed.len());
    assert!(missed.len() <= 10);
    assert!(others * 1000 < images.len());
    let images: Vec<&Observation> = images.iter().collect();
    assert!(to_drop(&images, &pairs).len() >= 190);
}
