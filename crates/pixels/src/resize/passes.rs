//! The two passes of a resize over rows of RGB bytes: sums of bytes with fixed-point weights, exact in 32 bits.
//!
//! Each pass has a loop for any processor and one for x86-64 processors with AVX2, found when running. Integer sums make
//! both give the same bytes.

use super::coefficients::{Coefficients, PRECISION_BITS};

/// Half of the last place that is kept, so that the shift rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Bytes of a row whose sums the vertical pass holds in registers at once.
const BLOCK: usize = 64;

/// Bytes behind a row that the horizontal pass may read, to fetch pixels in groups of fixed length.
const PADDING: usize = 8;

/// Resizes each row of `source`, of `stride` bytes, into the rows of `target`.
pub(super) fn horizontal(source: &[u8], stride: usize, across: &Coefficients, target: &mut [u8]) {
    let mut row_resizer: fn(&[u8], &Coefficients, &mut [u8]) = horizontal_row;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        row_resizer = |row, across, out| {
            #[expect(unsafe_code, reason = "vector instructions found when running")]
            // SAFETY: the processor has AVX2, which is all that the function asks for.
            unsafe {
                avx2::horizontal_row(row, across, out);
            }
        };
    }
    let mut padded = vec![0; stride + PADDING];
    for (row, out) in source.chunks_exact(stride).zip(target.chunks_exact_mut(across.len() * 3)) {
        padded[..stride].copy_from_slice(row);
        row_resizer(&padded, across, out);
    }
}

/// Makes each row of `target`, of `stride` bytes, from the rows of `source`, whose first is row `first` of the image.
pub(super) fn vertical(source: &[u8], stride: usize, first: usize, down: &Coefficients, target: &mut [u8]) {
    let mut row_maker: fn(&[u8], &[i32], &mut [u8]) = vertical_row;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        row_maker = |rows, weights, out| {
            #[expect(unsafe_code, reason = "vector instructions found when running")]
            // SAFETY: the processor has AVX2, which is all that the function asks for.
            unsafe {
                avx2::vertical_row(rows, weights, out);
            }
        };
    }
    for (out, (start, weights)) in target.chunks_exact_mut(stride).zip(down.iter()) {
        row_maker(&source[(start - first) * stride..], weights, out);
    }
}

/// Resizes one row, which has [`PADDING`] bytes behind it.
fn horizontal_row(row: &[u8], across: &Coefficients, out: &mut [u8]) {
    let (pixels, _) = out.as_chunks_mut::<3>();
    for (pixel, (start, weights)) in pixels.iter_mut().zip(across.iter()) {
        let (taps, _) = row[start * 3..].as_chunks::<3>();
        let mut sums = [HALF; 3];
        for (tap, &weight) in taps.iter().zip(weights) {
            for (sum, &byte) in sums.iter_mut().zip(tap) {
                *sum += weight * i32::from(byte);
            }
        }
        *pixel = sums.map(to_byte);
    }
}

/// Makes one row, each byte the weighted sum of those at its place in the first of `rows` and in the ones below.
#[inline(always)]
fn vertical_row(rows: &[u8], weights: &[i32], out: &mut [u8]) {
    let stride = out.len();
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let mut column = 0;
    for block in blocks {
        weighted_sum(block, &rows[column..], stride, weights);
        column += BLOCK;
    }
    for byte in rest {
        weighted_sum(std::array::from_mut(byte), &rows[column..], stride, weights);
        column += 1;
    }
}

/// `N` neighbouring bytes of a row. Written so that the compiler makes vector instructions of it.
#[inline(always)]
fn weighted_sum<const N: usize>(out: &mut [u8; N], rows: &[u8], stride: usize, weights: &[i32]) {
    let mut sums = [HALF; N];
    for (tap, &weight) in weights.iter().enumerate() {
        for (sum, &byte) in sums.iter_mut().zip(&rows[tap * stride..][..N]) {
            *sum += weight * i32::from(byte);
        }
    }
    *out = sums.map(to_byte);
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The same with AVX2.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Coefficients, HALF, PRECISION_BITS};

    /// Makes one row by the same loop as elsewhere, compiled for AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) fn vertical_row(rows: &[u8], weights: &[i32], out: &mut [u8]) {
        super::vertical_row(rows, weights, out);
    }

    /// Resizes one row, two taps of three channels in each step: the compiler does not find this by itself.
    #[target_feature(enable = "avx2")]
    pub(super) fn horizontal_row(row: &[u8], across: &Coefficients, out: &mut [u8]) {
        // Of eight bytes, r g b r g b . ., makes r g b 0 r g b 0.
        let spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        let (pixels, _) = out.as_chunks_mut::<3>();
        for (pixel, (start, weights)) in pixels.iter_mut().zip(across.iter_pairs()) {
            let taps = &row[start * 3..];
            // The first tap's channels in the lower half, the second's in the upper.
            let mut sums = _mm256_setr_epi32(HALF, HALF, HALF, 0, 0, 0, 0, 0);
            for (pair, [first, second]) in weights.iter().enumerate() {
                let Some(bytes) = taps[pair * 6..].first_chunk() else { break };
                let bytes = _mm_shuffle_epi8(_mm_cvtsi64_si128(i64::from_le_bytes(*bytes)), spread);
                let weight = _mm256_set_m128i(_mm_set1_epi32(*second), _mm_set1_epi32(*first));
                sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), weight));
            }
            let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            let levels = _mm_srai_epi32::<{ PRECISION_BITS as i32 }>(sums);
            // Packing saturates at 0 and 255.
            let levels = _mm_packus_epi16(_mm_packs_epi32(levels, levels), levels);
            let [red, green, blue, _] = _mm_cvtsi128_si32(levels).to_le_bytes();
            *pixel = [red, green, blue];
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::Filter;

    #[test]
    fn vector_instructions_change_no_byte() {
        if !is_x86_feature_detected!("avx2") {
            eprintln!("skipped: this processor has no AVX2");
            return;
        }
        for (input, output) in [(1, 5), (2, 1), (3, 7), (17, 16), (64, 64), (101, 37), (300, 9), (21, 130)] {
            for filter in [Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
                let across = Coefficients::new(filter, input, [0.0, input as f64], output);
                let row: Vec<u8> = (0..input * 3 + PADDING).map(|i| (i * i * 31 + i / 3) as u8).collect();
                let (mut plain, mut vector) = (vec![0; output * 3], vec![0; output * 3]);
                horizontal_row(&row, &across, &mut plain);
                #[expect(unsafe_code, reason = "the function under test")]
                // SAFETY: checked above.
                unsafe {
                    avx2::horizontal_row(&row, &across, &mut vector);
                }
                assert_eq!(plain, vector, "{filter:?} {input} -> {output}");
            }
        }
    }
}
