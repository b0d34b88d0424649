//! Changes of the shape and the colours of stored images.

use pixels::degrade::{self, DegradeError};
use pixels::{Filter, RgbImage, resize_to};

/// The level of a covered square.
const GREY: u8 = 128;
/// The weights of red, green and blue in the grey level of ITU-R BT.601.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Crops a share of the area at a position, and resizes the crop to the size of the image. `position` is from 0 to 1 in
/// the room that the crop has.
///
/// # Errors
/// The crop does not fit into the image.
pub(super) fn crop_and_resize(image: &RgbImage, area: f32, position: [f32; 2]) -> Result<RgbImage, DegradeError> {
    let (width, height) = (image.width(), image.height());
    let side = |side: u32| ((side as f32 * area.sqrt()).round() as u32).clamp(1, side);
    let place = |room: u32, share: f32| ((room as f32 * share).round() as u32).min(room);
    let (w, h) = (side(width), side(height));
    let cropped = degrade::crop(image, place(width - w, position[0]), place(height - h, position[1]), w, h)?;
    Ok(resize_to(&cropped, width, height, Filter::Bilinear).unwrap_or(cropped))
}

/// Rotates an image about its centre with bilinear interpolation. Pixels outside are reflected at the edges.
pub(super) fn rotate(image: &RgbImage, degrees: f32) -> RgbImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let centre = [image.width() as f32, image.height() as f32].map(|side| (side - 1.0) / 2.0);
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [x, y] = [x as f32 - centre[0], y as f32 - centre[1]];
        sample(image, centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y)
    })
}

/// Interpolates between the four pixels around a position.
fn sample(image: &RgbImage, x: f32, y: f32) -> [u8; 3] {
    let [left, top] = [x.floor(), y.floor()];
    let [right_share, bottom_share] = [x - left, y - top];
    let column = |offset: f32| reflect(left + offset, image.width());
    let row = |offset: f32| reflect(top + offset, image.height());
    std::array::from_fn(|channel| {
        let at = |x: usize, y: usize| f32::from(image.data()[(y * image.width() as usize + x) * 3 + channel]);
        let of_row = |y: usize| at(column(0.0), y) * (1.0 - right_share) + at(column(1.0), y) * right_share;
        let value = of_row(row(0.0)) * (1.0 - bottom_share) + of_row(row(1.0)) * bottom_share;
        value.round().clamp(0.0, 255.0) as u8
    })
}

/// Reflects a coordinate at the first and the last pixel of a side.
fn reflect(at: f32, side: u32) -> usize {
    let last = side.saturating_sub(1) as i64;
    if last == 0 {
        return 0;
    }
    let folded = (at as i64).rem_euclid(2 * last);
    folded.min(2 * last - folded) as usize
}

/// Multiplies brightness, contrast and saturation by factors, in this order, as `ColorJitter` of torchvision: each
/// interpolates with black, with the mean grey level, and with the grey level of the pixel.
pub(super) fn change_colours(image: &RgbImage, [brightness, contrast, saturation]: [f32; 3]) -> RgbImage {
    let mut values: Vec<f32> =
        image.data().iter().map(|&level| (f32::from(level) * brightness).clamp(0.0, 255.0)).collect();
    let grey = |pixel: &[f32]| pixel.iter().zip(LUMA).map(|(level, weight)| level * weight).sum::<f32>();
    let total: f64 = values.chunks_exact(3).map(|pixel| f64::from(grey(pixel))).sum();
    let mean = (total / (values.len() / 3).max(1) as f64) as f32;
    values.iter_mut().for_each(|level| *level = (mean + contrast * (*level - mean)).clamp(0.0, 255.0));
    for pixel in values.chunks_exact_mut(3) {
        let grey = grey(pixel);
        pixel.iter_mut().for_each(|level| *level = (grey + saturation * (*level - grey)).clamp(0.0, 255.0));
    }
    let width = image.width() as usize;
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let start = (y as usize * width + x as usize) * 3;
        std::array::from_fn(|channel| values[start + channel].round() as u8)
    })
}

/// Covers a grey square. `side` is a share of the shorter side of the image, `centre` from 0 to 1.
pub(super) fn cut_out(image: &RgbImage, side: f32, centre: [f32; 2]) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let half = side * width.min(height) as f32 / 2.0;
    let [column, row] = [centre[0] * width as f32, centre[1] * height as f32];
    RgbImage::from_fn(width, height, |x, y| {
        let is_inside = (x as f32 + 0.5 - column).abs() <= half && (y as f32 + 0.5 - row).abs() <= half;
        let start = (y as usize * width as usize + x as usize) * 3;
        if is_inside { [GREY; 3] } else { std::array::from_fn(|channel| image.data()[start + channel]) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> RgbImage {
        RgbImage::from_fn(8, 8, |x, y| [(x * 30) as u8, (y * 30) as u8, 40])
    }

    #[test]
    fn rotation_by_quarter_turns_moves_pixels_exactly() {
        assert_eq!(rotate(&image(), 0.0).data(), image().data());
        let turned = rotate(&image(), 90.0);
        for (x, y) in [(0, 0), (7, 0), (3, 5)] {
            let pixel = |image: &RgbImage, x: usize, y: usize| image.data()[(y * 8 + x) * 3..][..3].to_vec();
            assert_eq!(pixel(&turned, x, y), pixel(&image(), 7 - y, x));
        }
    }

    #[test]
    fn crop_of_everything_keeps_the_image() {
        assert_eq!(crop_and_resize(&image(), 1.0, [0.5, 0.5]).unwrap().data(), image().data());
        let quarter = crop_and_resize(&image(), 0.25, [1.0, 0.0]).unwrap();
        assert_eq!((quarter.width(), quarter.height()), (8, 8));
        // The right half of the columns, and the upper half of the rows.
        assert!(quarter.data()[0] >= 110 && quarter.data()[1] < 30);
    }

    #[test]
    fn colours_change_as_configured() {
        assert_eq!(change_colours(&image(), [1.0; 3]).data(), image().data());
        let dark = change_colours(&image(), [0.5, 1.0, 1.0]);
        assert_eq!(&dark.data()[..3], [0, 0, 20]);
        let grey = change_colours(&image(), [1.0, 1.0, 0.0]);
        assert!(grey.data().chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
    }

    #[test]
    fn cutout_covers_a_square() {
        let cut = cut_out(&image(), 0.5, [0.5, 0.5]);
        let covered = cut.data().chunks_exact(3).filter(|pixel| **pixel == [GREY; 3]).count();
        assert_eq!(covered, 16);
        let corner = cut_out(&image(), 0.5, [0.0, 0.0]);
        assert_eq!(corner.data().chunks_exact(3).filter(|pixel| **pixel == [GREY; 3]).count(), 4);
    }
}
