//! The heat maps and the spectrum of a detector of branches.

use std::path::Path;

use artifacts::Label;
use artifacts::schema::{HeatMap, Spectrum, SpectrumPeak};
use branches::BranchName;
use image::RgbImage;
use image::imageops::{self, FilterType};
use signals::frequency;

use super::evidence::{Evidence, Picture, both_classes, peak, write_png};
use super::overlay;
use crate::Error;
use crate::detector::Detector;

/// The largest side of an overlay in pixels.
const MAX_SIDE: u32 = 448;
/// The size of a frequency in the picture of a spectrum in pixels.
const SPECTRUM_SCALE: u32 = 2;
/// The colour of the rings around the peaks of a spectrum.
const RING: [u8; 3] = [253, 231, 37];
/// The radius of such a ring in pixels.
const RADIUS: f32 = 8.0;

/// Writes the heat map of each branch for both classes, and the spectrum if the branch `frequency` is among them.
///
/// # Errors
/// A branch fails, or errors of writing.
pub(super) fn branch_evidence(
    dir: &Path,
    detector: &mut Detector,
    picture: &Picture<'_>,
    predicted: Label,
) -> Result<Evidence, Error> {
    let decoded = decode(picture)?;
    let maps = detector.evidence_maps(&decoded)?;
    let mut heat_maps = Vec::new();
    for map in &maps {
        for class in both_classes(predicted) {
            let name = format!("{}-{}-{class}.png", picture.stem, map.branch);
            let evidence = map.for_class(class);
            write_png(dir, &name, &branch_overlay(&map.image, &evidence))?;
            heat_maps.push(HeatMap {
                branch: Some(map.branch.name().to_owned()),
                class,
                peak: peak(&evidence),
                overlay: name,
            });
        }
    }
    let has_frequency = detector.branches().contains(&BranchName::Frequency.name());
    let spectrum = if has_frequency { frequency::spectrum(&decoded.image) } else { None };
    let spectrum = spectrum.map(|spectrum| write_spectrum(dir, picture, &spectrum)).transpose()?;
    Ok(Evidence { heat_maps, spectrum, own: maps.into_iter().map(|map| map.contributions).collect() })
}

/// Decodes the file of an image.
pub(super) fn decode<'a>(picture: &Picture<'a>) -> Result<branches::Picture<'a>, Error> {
    let decoded = branches::Picture::decode(picture.file);
    Ok(decoded.map_err(|detail| branches::Error::Decode { path: picture.path.to_owned(), detail })?)
}

/// Draws the evidence of a branch for a class over the image that the branch judged.
pub fn branch_overlay(image: &pixels::RgbImage, evidence: &model::HeatMap) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let shown = RgbImage::from_raw(width, height, image.data().to_vec()).unwrap_or_default();
    let shown = if width.max(height) > MAX_SIDE {
        let scale = f64::from(MAX_SIDE) / f64::from(width.max(height));
        let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        imageops::resize(&shown, scaled(width), scaled(height), FilterType::Triangle)
    } else {
        shown
    };
    let size = [shown.height() as usize, shown.width() as usize];
    overlay(shown.as_raw(), size, evidence)
}

fn write_spectrum(dir: &Path, picture: &Picture<'_>, spectrum: &frequency::Spectrum) -> Result<Spectrum, Error> {
    let image = format!("{}-spectrum.png", picture.stem);
    write_png(dir, &image, &draw(spectrum))?;
    let peaks = spectrum.peaks.iter().map(|peak| SpectrumPeak { period: peak.period, decibels: peak.decibels });
    Ok(Spectrum { image, peaks: peaks.collect() })
}

/// Draws a spectrum in grey, with a ring around each peak and around its mirror image.
fn draw(spectrum: &frequency::Spectrum) -> RgbImage {
    let side = spectrum.side;
    let centre = |index: u32| (index * SPECTRUM_SCALE) as f32 + 0.5 * SPECTRUM_SCALE as f32;
    let mirrored = |index: u32| (side - index) % side;
    let both = spectrum.peaks.iter().flat_map(|peak| [[peak.x, peak.y], [mirrored(peak.x), mirrored(peak.y)]]);
    let centres: Vec<[f32; 2]> = both.map(|at| at.map(centre)).collect();
    RgbImage::from_fn(side * SPECTRUM_SCALE, side * SPECTRUM_SCALE, |x, y| {
        let at = (y / SPECTRUM_SCALE * side + x / SPECTRUM_SCALE) as usize;
        let distance = |[cx, cy]: &[f32; 2]| (x as f32 + 0.5 - cx).hypot(y as f32 + 0.5 - cy);
        let on_ring = centres.iter().any(|centre| (distance(centre) - RADIUS).abs() < 0.7);
        image::Rgb(if on_ring { RING } else { [spectrum.values[at]; 3] })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spectrum_has_rings_around_peaks_and_their_mirror_images() {
        let peak = frequency::Peak { x: 20, y: 8, period: 4.0, decibels: 12.0 };
        let drawn = draw(&frequency::Spectrum { side: 64, values: vec![9; 64 * 64], peaks: vec![peak] });
        assert_eq!(drawn.dimensions(), (128, 128));
        let is_ring = |x, y| drawn.get_pixel(x, y).0 == RING;
        assert!(is_ring(41 + 8, 17) && is_ring(89 - 8, 113) && !is_ring(41, 17) && !is_ring(64, 64));
        assert_eq!(drawn.get_pixel(41, 17).0, [9; 3]);
    }
}
