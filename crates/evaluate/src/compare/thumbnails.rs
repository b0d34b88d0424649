//! Thumbnails of images on which the verdicts of the detectors differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use artifacts::schema::{Comparison, Disagreement};
use artifacts::shard::Shards;
use image::RgbImage;
use image::imageops::thumbnail;

use super::EvaluatedDetector;
use crate::Error;
use crate::explain::{stored_image, write_png};

/// The largest number of images with a thumbnail.
const MAX_THUMBNAILS: usize = 24;
/// The maximum width and height of a thumbnail in pixels. 24 thumbnails of photographs add about 0.4 MB to the page.
const MAX_SIDE: u32 = 160;

/// Writes thumbnails of the first images into a folder below `dir`, and sets [`Disagreement::image`].
///
/// The pixels are from the shards of the first detector that still has them. Images of which no detector has the pixels
/// get no thumbnail: shards may be deleted, and predictions that were read from a file have none. The shards' digests are
/// not verified, because nothing is computed from the thumbnails.
///
/// # Errors
/// A thumbnail cannot be written.
pub fn write_thumbnails(
    dir: &Path,
    detectors: &[EvaluatedDetector],
    disagreements: &mut [Disagreement],
) -> Result<(), Error> {
    let count = disagreements.len().min(MAX_THUMBNAILS);
    let shown = &mut disagreements[..count];
    for detector in detectors {
        if shown.iter().all(|image| image.image.is_some()) {
            break;
        }
        let Ok(shards) = Shards::open(&detector.shards, detector.metrics.split) else { continue };
        let rows: BTreeMap<[u8; 32], usize> =
            shards.samples().iter().enumerate().map(|(row, sample)| (*sample.id.as_bytes(), row)).collect();
        for (index, image) in shown.iter_mut().enumerate().filter(|(_, image)| image.image.is_none()) {
            let Some(&row) = rows.get(image.id.as_bytes()) else { continue };
            let name = format!("{}/{index:03}.png", Comparison::IMAGES);
            let folder = dir.join(Comparison::IMAGES);
            fs::create_dir_all(&folder).map_err(artifacts::Error::io("create", &folder))?;
            write_png(dir, &name, &shrunk(stored_image(shards.pixels(row), shards.size())))?;
            image.image = Some(name);
        }
    }
    Ok(())
}

/// Shrinks an image to at most [`MAX_SIDE`] pixels in width and height. Keeps its aspect ratio.
fn shrunk(image: RgbImage) -> RgbImage {
    let longest = image.width().max(image.height());
    if longest <= MAX_SIDE {
        return image;
    }
    let side = |length: u32| (u64::from(length) * u64::from(MAX_SIDE) / u64::from(longest)).max(1) as u32;
    thumbnail(&image, side(image.width()), side(image.height()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinks_large_images_and_keeps_their_aspect_ratio() {
        assert_eq!(shrunk(RgbImage::new(320, 200)).dimensions(), (160, 100));
        assert_eq!(shrunk(RgbImage::new(10, 4000)).dimensions(), (1, 160));
        assert_eq!(shrunk(RgbImage::new(96, 160)).dimensions(), (96, 160));
    }
}
