//! Square windows of an image at native resolution.
//!
//! Windows of rich and of poor texture differ more in generated images than in photographs: PatchCraft (Zhong et al.
//! 2023, arXiv 2311.12397). An image that is smaller than a window has no windows. Nothing is padded, because padding
//! would add edges that no camera makes.

mod texture;

use artifacts::random::Stream;
use pixels::RgbImage;
use rand::RngExt;

use self::texture::Candidates;

/// The side of a window in pixels, if the caller has no reason for another one.
pub const SIDE: u32 = 64;

/// The number of windows of an image, if the caller has no reason for another one.
pub const COUNT: usize = 4;

/// A square window of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The left edge in the image.
    pub x: u32,
    /// The top edge in the image.
    pub y: u32,
    /// The pixels, `[side, side, 3]`.
    pub pixels: Vec<u8>,
}

/// Cuts up to `count` windows: half of them, rounded up, those of the richest texture, richest first, then those of
/// the poorest texture, poorest first.
///
/// The texture of a window is the sum of the absolute differences of its pixels to their right, lower, lower right and
/// lower left neighbours. The candidates are the windows whose offsets are multiples of a quarter of `side`. Windows
/// do not overlap if the image has room; otherwise, their positions differ by at least half of `side` in x or y. A
/// small image has fewer than `count` windows, and one smaller than `side` has none.
///
/// Parts without noise, such as clipped sky, say nothing about how the image was made. Poor windows with more than a
/// quarter of such parts are taken only if there are no others.
///
/// # Panics
/// If `side` is less than 4.
pub fn by_texture(image: &RgbImage, side: u32, count: usize) -> Vec<Window> {
    let Some(candidates) = Candidates::of(image, side) else { return Vec::new() };
    let mut chosen = candidates.choose(count, side);
    if chosen.len() < count {
        let closer = candidates.choose(count, side.div_ceil(2));
        if closer.len() > chosen.len() {
            chosen = closer;
        }
    }
    chosen.into_iter().map(|[x, y]| cut(image, x, y, side)).collect()
}

/// Cuts `count` windows at positions that are drawn uniformly; they may overlap. An image smaller than `side` has none.
///
/// # Panics
/// If `side` is 0.
pub fn at_random(image: &RgbImage, side: u32, count: usize, random: &mut Stream) -> Vec<Window> {
    assert!(side > 0, "a window has at least one pixel");
    if image.width() < side || image.height() < side {
        return Vec::new();
    }
    (0..count)
        .map(|_| {
            let x = random.random_range(0..=image.width() - side);
            let y = random.random_range(0..=image.height() - side);
            cut(image, x, y, side)
        })
        .collect()
}

/// Cuts windows at evenly spaced positions from edge to edge, row by row, and returns the number of columns with them.
/// Neighbours touch or overlap, unless the image needs more than `limit` windows in a row or column, which leaves gaps.
/// An image smaller than `side` has none.
///
/// # Panics
/// If `side` is 0.
pub fn grid(image: &RgbImage, side: u32, limit: u32) -> (usize, Vec<Window>) {
    let [columns, rows] = [image.width(), image.height()].map(|length| positions(length, side, limit));
    let windows = rows.iter().flat_map(|&y| columns.iter().map(move |&x| cut(image, x, y, side))).collect();
    (columns.len(), windows)
}

/// Returns the offsets of at most `limit` windows that are spread evenly over `length` pixels.
fn positions(length: u32, side: u32, limit: u32) -> Vec<u32> {
    let Some(room) = length.checked_sub(side) else { return Vec::new() };
    let count = length.div_ceil(side).min(limit);
    let last = count.saturating_sub(1).max(1);
    (0..count).map(|index| (u64::from(index) * u64::from(room) / u64::from(last)) as u32).collect()
}

/// Copies the window with its top left corner at (`x`, `y`).
fn cut(image: &RgbImage, x: u32, y: u32, side: u32) -> Window {
    let (stride, length) = (image.width() as usize * 3, side as usize * 3);
    let rows = image.data().chunks_exact(stride).skip(y as usize).take(side as usize);
    let pixels = rows.flat_map(|row| &row[x as usize * 3..][..length]).copied().collect();
    Window { x, y, pixels }
}

#[cfg(test)]
mod tests {
    use artifacts::random::stream;

    use super::*;

    /// Makes an image of noise whose strength grows from left to right.
    fn noisy(width: u32, height: u32) -> RgbImage {
        let mut state = 1_u32;
        RgbImage::from_fn(width, height, |x, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let strength = 4 + 200 * x / width;
            [(state >> 24) % strength; 3].map(|value| value as u8)
        })
    }

    fn far_apart(windows: &[Window], distance: u32) -> bool {
        windows
            .iter()
            .enumerate()
            .all(|(i, a)| windows[..i].iter().all(|b| a.x.abs_diff(b.x).max(a.y.abs_diff(b.y)) >= distance))
    }

    #[test]
    fn takes_the_richest_and_the_poorest_windows() {
        let windows = by_texture(&noisy(512, 256), 64, 4);
        let positions: Vec<u32> = windows.iter().map(|window| window.x).collect();
        assert_eq!(positions[..2], [448, 448]);
        assert_eq!(positions[2..], [0, 0]);
        assert!(far_apart(&windows, 64));
    }

    #[test]
    fn windows_have_the_pixels_at_their_position() {
        let image = RgbImage::from_fn(90, 80, |x, y| [x as u8, y as u8, (x * y) as u8]);
        let random = at_random(&image, 16, 3, &mut stream(1, "test", &[]));
        assert_eq!(random.len(), 3);
        for Window { x, y, pixels } in by_texture(&image, 16, 5).into_iter().chain(random) {
            let expected: Vec<u8> =
                (y..y + 16).flat_map(|y| (x..x + 16).flat_map(move |x| [x as u8, y as u8, (x * y) as u8])).collect();
            assert_eq!(pixels, expected);
        }
    }

    #[test]
    fn small_images_have_fewer_windows() {
        for (width, height, expected) in [(1, 1, 0), (40, 40, 0), (63, 500, 0), (64, 64, 1), (100, 64, 2), (96, 96, 4)]
        {
            let windows = by_texture(&noisy(width, height), 64, 4);
            assert_eq!(windows.len(), expected, "{width}x{height}");
            assert!(far_apart(&windows, 32));
            let random = at_random(&noisy(width, height), 64, 4, &mut stream(1, "test", &[]));
            assert_eq!(random.len(), if expected == 0 { 0 } else { 4 });
        }
        assert_eq!(by_texture(&noisy(128, 128), 64, 0), []);
    }

    #[test]
    fn flat_windows_are_taken_last() {
        let mut image = noisy(512, 128);
        for row in image.data_mut().chunks_exact_mut(512 * 3) {
            row[..128 * 3].fill(255);
        }
        let windows = by_texture(&image, 64, 4);
        // The cells at the edge of the flat part have a difference to the noise beside it.
        let positions: Vec<u32> = windows.iter().map(|window| window.x).collect();
        assert_eq!((positions.len(), positions.iter().min()), (4, Some(&96)), "{positions:?}");
        assert_eq!(by_texture(&RgbImage::from_fn(256, 256, |_, _| [7; 3]), 64, 4).len(), 4);
    }

    #[test]
    fn the_same_stream_gives_the_same_windows() {
        let image = noisy(300, 200);
        let draw = |key| at_random(&image, 64, 4, &mut stream(3, "test", &[key]));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn grid_reaches_from_edge_to_edge() {
        let places = |width, height, limit| {
            let (columns, windows) = grid(&noisy(width, height), 16, limit);
            (columns, windows.iter().map(|window| [window.x, window.y]).collect::<Vec<_>>())
        };
        assert_eq!(places(40, 16, 9), (3, vec![[0, 0], [12, 0], [24, 0]]));
        assert_eq!(places(100, 16, 2), (2, vec![[0, 0], [84, 0]]));
        assert_eq!(places(16, 33, 9), (1, vec![[0, 0], [0, 8], [0, 17]]));
        assert!(places(15, 40, 9).1.is_empty() && places(40, 15, 9).1.is_empty());
    }
}
