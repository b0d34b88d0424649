//! Coefficients to pixels as in libjpeg-turbo, bit for bit: inverse transform, upsampling of chroma, colours.

use super::idct;
use super::markers::{Component, Frame, ZIGZAG};
use super::scan::Store;
use super::walk::{Colour, Jpeg};

/// The coefficients of all blocks in zigzag order.
pub(super) struct Coefficients(Vec<[i16; 64]>);

impl Store for Coefficients {
    const KEEPS: bool = true;

    fn new(frame: &Frame) -> Self {
        Coefficients(vec![[0; 64]; frame.blocks])
    }

    fn set(&mut self, block: usize, k: usize, value: i32) {
        self.0[block][k] = value as i16;
    }

    fn refine_dc(&mut self, block: usize, bit: i32) {
        self.0[block][0] |= bit as i16;
    }

    fn refine_ac(&mut self, block: usize, k: usize, bit: i32) {
        let coefficient = &mut self.0[block][k];
        if i32::from(*coefficient) & bit == 0 {
            *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { bit } else { -bit } as i16);
        }
    }
}

/// Returns the pixels, `[height, width, 3]`.
pub(super) fn pixels(jpeg: &Jpeg, coefficients: &Coefficients) -> Vec<u8> {
    let frame = &jpeg.frame;
    let planes: Vec<Vec<u8>> = frame
        .components
        .iter()
        .zip(&jpeg.quantisation)
        .map(|(component, table)| upsampled(frame, component, &samples(component, table, coefficients)))
        .collect();
    let convert: fn([u8; 4]) -> [u8; 3] = match jpeg.colour() {
        Colour::Grey => |[grey, ..]| [grey; 3],
        Colour::Rgb => |[r, g, b, _]| [r, g, b],
        Colour::YCbCr => |[y, cb, cr, _]| from_ycbcr(y, cb, cr),
        Colour::Cmyk => |[c, m, y, k]| from_inverted_cmyk([c, m, y], k),
        Colour::Ycck => |[y, cb, cr, k]| from_inverted_cmyk(from_ycbcr(y, cb, cr).map(|level| 255 - level), k),
    };
    let mut pixels = Vec::with_capacity(frame.width as usize * frame.height as usize * 3);
    for i in 0..frame.width as usize * frame.height as usize {
        let mut levels = [0; 4];
        for (level, plane) in levels.iter_mut().zip(&planes) {
            *level = plane[i];
        }
        pixels.extend(convert(levels));
    }
    pixels
}

/// Returns the samples of a component, `[8 rows, 8 stride]`.
fn samples(component: &Component, table: &[u16; 64], coefficients: &Coefficients) -> Vec<u8> {
    let stride = 8 * component.stride;
    let mut plane = vec![0; stride * 8 * component.rows];
    for row in 0..component.rows {
        for column in 0..component.stride {
            let block = &coefficients.0[component.first_block + row * component.stride + column];
            let mut dequantised = [0; 64];
            for k in 0..64 {
                dequantised[usize::from(ZIGZAG[k])] = i32::from(block[k]) * i32::from(table[k]);
            }
            for (y, line) in idct::samples(dequantised).as_chunks::<8>().0.iter().enumerate() {
                let start = (8 * row + y) * stride + 8 * column;
                plane[start..start + 8].copy_from_slice(line);
            }
        }
    }
    plane
}

/// Enlarges a component to the size of the image (`jdsample.c`): with a triangle filter where a side doubles, except
/// that columns of components that are at most two wide are repeated, as everywhere else.
fn upsampled(frame: &Frame, component: &Component, plane: &[u8]) -> Vec<u8> {
    let (across, down) = (frame.h_max / component.h, frame.v_max / component.v);
    let (width, height) = (frame.width as usize, frame.height as usize);
    let line = |y: usize| {
        let start = y * 8 * component.stride;
        &plane[start..start + component.width]
    };
    let is_smooth_across = across == 2 && down <= 2 && component.width > 2;
    let is_smooth_down = down == 2 && (across == 1 || is_smooth_across);
    let mut result = Vec::with_capacity(width * height);
    let mut sums = vec![0_u16; component.width];
    for y in 0..height {
        let (near, is_second) = (y / down, y % 2 == 1);
        let other = if is_second { (near + 1).min(component.height - 1) } else { near.saturating_sub(1) };
        for ((sum, &near), &far) in sums.iter_mut().zip(line(near)).zip(line(other)) {
            *sum = if is_smooth_down { 3 * u16::from(near) + u16::from(far) } else { u16::from(near) };
        }
        let start = result.len();
        match (is_smooth_across, is_smooth_down) {
            (false, false) => result.extend((0..width).map(|x| sums[x / across] as u8)),
            (false, true) => {
                let half = 1 + u16::from(is_second);
                result.extend(sums.iter().map(|sum| ((sum + half) >> 2) as u8));
            }
            // Ties are rounded down and up in turn: the first number is for left samples, the second for right ones.
            (true, false) => smooth_across(&sums, [1, 2], 2, &mut result),
            (true, true) => smooth_across(&sums, [8, 7], 4, &mut result),
        }
        result.truncate(start + width);
    }
    result
}

/// Doubles a row: each sample becomes two, of which each is a quarter of the way to the neighbour on its side.
fn smooth_across(row: &[u16], halves: [u16; 2], shift: u32, result: &mut Vec<u8>) {
    for (x, &sample) in row.iter().enumerate() {
        let left = if x == 0 { sample } else { row[x - 1] };
        let right = row.get(x + 1).copied().unwrap_or(sample);
        result.push(((3 * sample + left + halves[0]) >> shift) as u8);
        result.push(((3 * sample + right + halves[1]) >> shift) as u8);
    }
}

/// Converts YCbCr to RGB with 16 fractional bits (`jdcolor.c`).
fn from_ycbcr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91881 * cr + HALF) >> 16);
    let green = y + ((-22554 * cb - 46802 * cr + HALF) >> 16);
    let blue = y + ((116130 * cb + HALF) >> 16);
    [red, green, blue].map(|level| level.clamp(0, 255) as u8)
}

/// Converts CMYK to RGB as Pillow does. Pillow takes the levels for inverted, as Adobe programs write them.
fn from_inverted_cmyk(inks: [u8; 3], black: u8) -> [u8; 3] {
    inks.map(|ink| {
        // Divides by 255 with rounding.
        let product = u32::from(255 - ink) * u32::from(black) + 128;
        black.saturating_sub(((product + (product >> 8)) >> 8) as u8)
    })
}
