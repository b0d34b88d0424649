//! From samples to RGB as in libjpeg-turbo, bit for bit: enlarges chroma, and converts colours.

use super::blocks::SIDE;
use super::markers::{Component, Frame};
use super::walk::{Colour, Jpeg};

/// Returns the pixels, `[height, width, 3]`.
pub(super) fn pixels(jpeg: &Jpeg) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "vector instructions found when running")]
        // SAFETY: the CPU has AVX2, the only requirement of the function.
        return unsafe { pixels_with_avx2(jpeg) };
    }
    portable_pixels(jpeg)
}

/// The portable loops, compiled for AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn pixels_with_avx2(jpeg: &Jpeg) -> Vec<u8> {
    portable_pixels(jpeg)
}

#[inline(always)]
fn portable_pixels(jpeg: &Jpeg) -> Vec<u8> {
    let frame = &jpeg.frame;
    let (width, height) = (frame.width as usize, frame.height as usize);
    let components = frame.components.iter().zip(&jpeg.blocks.planes);
    let mut components: Vec<Enlarged> =
        components.map(|(component, plane)| Enlarged::new(frame, component, plane)).collect();
    let colour = jpeg.colour();
    let mut pixels = vec![0; width * height * 3];
    for (y, row) in pixels.chunks_exact_mut(3 * width).enumerate() {
        let (row, _) = row.as_chunks_mut::<3>();
        let mut levels: [&[u8]; 4] = [&[]; 4];
        for (levels, component) in levels.iter_mut().zip(&mut components) {
            *levels = &component.row(y)[..width];
        }
        convert_row(colour, levels, row);
    }
    pixels
}

/// Converts a row with the levels of each component.
#[inline(always)]
fn convert_row(colour: Colour, [a, b, c, d]: [&[u8]; 4], row: &mut [[u8; 3]]) {
    let abc = a.iter().zip(b).zip(c).map(|((&a, &b), &c)| (a, b, c));
    match colour {
        Colour::Grey => row.iter_mut().zip(a).for_each(|(pixel, &grey)| *pixel = [grey; 3]),
        Colour::Rgb => row.iter_mut().zip(abc).for_each(|(pixel, (r, g, b))| *pixel = [r, g, b]),
        Colour::YCbCr => row.iter_mut().zip(abc).for_each(|(pixel, (y, cb, cr))| *pixel = from_ycbcr(y, cb, cr)),
        Colour::Cmyk => {
            for ((pixel, (c, m, y)), &k) in row.iter_mut().zip(abc).zip(d) {
                *pixel = from_inverted_cmyk([c, m, y], k);
            }
        }
        Colour::Ycck => {
            for ((pixel, (y, cb, cr)), &k) in row.iter_mut().zip(abc).zip(d) {
                *pixel = from_inverted_cmyk(from_ycbcr(y, cb, cr).map(|level| 255 - level), k);
            }
        }
    }
}

/// A component that is enlarged to the size of the image (`jdsample.c`): with a triangle filter where a side doubles,
/// except that columns of components that are at most two wide are repeated, as everywhere else.
struct Enlarged<'a> {
    component: &'a Component,
    plane: &'a [u8],
    across: usize,
    down: usize,
    /// The sums of two rows of samples.
    sums: Vec<u16>,
    enlarged: Vec<u8>,
}

impl<'a> Enlarged<'a> {
    fn new(frame: &Frame, component: &'a Component, plane: &'a [u8]) -> Self {
        let (across, down) = (frame.h_max / component.h, frame.v_max / component.v);
        let (sums, enlarged) = (vec![0; component.width], vec![0; across * component.width]);
        Enlarged { component, plane, across, down, sums, enlarged }
    }

    fn samples(&self, y: usize) -> &'a [u8] {
        let start = y * SIDE * self.component.stride;
        &self.plane[start..start + self.component.width]
    }

    /// Returns a row of the image, which may be longer than the image is wide.
    #[inline(always)]
    fn row(&mut self, y: usize) -> &[u8] {
        let Self { component, across, down, .. } = *self;
        let (near, is_second) = (y / down, y % 2 == 1);
        let is_smooth_across = across == 2 && down <= 2 && component.width > 2;
        let is_smooth_down = down == 2 && (across == 1 || is_smooth_across);
        let far = match is_second {
            _ if !is_smooth_down => near,
            true => (near + 1).min(component.height - 1),
            false => near.saturating_sub(1),
        };
        let (near, far) = (self.samples(near), self.samples(far));
        if (across, down) == (1, 1) {
            return near;
        }
        let near_weight = if is_smooth_down { 3 } else { 0 };
        for ((sum, &near), &far) in self.sums.iter_mut().zip(near).zip(far) {
            *sum = near_weight * u16::from(near) + u16::from(far);
        }
        match (is_smooth_across, is_smooth_down) {
            (false, false) => {
                for (repeated, &sample) in self.enlarged.chunks_exact_mut(across).zip(near) {
                    repeated.fill(sample);
                }
            }
            (false, true) => {
                let half = 1 + u16::from(is_second);
                for (sample, sum) in self.enlarged.iter_mut().zip(&self.sums) {
                    *sample = ((sum + half) >> 2) as u8;
                }
            }
            // Ties are rounded down and up in turn: the first number is for left samples, the second for right ones.
            (true, false) => smooth_across::<2>(&self.sums, [1, 2], &mut self.enlarged),
            (true, true) => smooth_across::<4>(&self.sums, [8, 7], &mut self.enlarged),
        }
        &self.enlarged
    }
}

/// Doubles a row: each sample becomes two, of which each is a quarter of the way to the neighbour on its side.
#[inline(always)]
fn smooth_across<const SHIFT: u32>(row: &[u16], halves: [u16; 2], result: &mut [u8]) {
    let pairs = result.as_chunks_mut::<2>().0;
    let smooth = |left: u16, sample: u16, right: u16| {
        [((3 * sample + left + halves[0]) >> SHIFT) as u8, ((3 * sample + right + halves[1]) >> SHIFT) as u8]
    };
    // The row has more than two samples.
    let last = row.len() - 1;
    pairs[0] = smooth(row[0], row[0], row[1]);
    for (pair, window) in pairs[1..last].iter_mut().zip(row.windows(3)) {
        *pair = smooth(window[0], window[1], window[2]);
    }
    pairs[last] = smooth(row[last - 1], row[last], row[last]);
}

/// Converts YCbCr to RGB with 16 fractional bits (`jdcolor.c`).
#[inline(always)]
fn from_ycbcr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91881 * cr + HALF) >> 16);
    let green = y + ((-22554 * cb - 46802 * cr + HALF) >> 16);
    let blue = y + ((116130 * cb + HALF) >> 16);
    [red, green, blue].map(|level| level.clamp(0, 255) as u8)
}

/// Converts CMYK to RGB as Pillow does. Pillow takes the levels for inverted, as Adobe programs write them.
#[inline(always)]
fn from_inverted_cmyk(inks: [u8; 3], black: u8) -> [u8; 3] {
    inks.map(|ink| {
        // Divides by 255 with rounding.
        let product = u32::from(255 - ink) * u32::from(black) + 128;
        black.saturating_sub(((product + (product >> 8)) >> 8) as u8)
    })
}
