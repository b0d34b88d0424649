//! The horizontal and the vertical pass of a resize. They compute sums of bytes with fixed-point weights, exactly, in
//! 32 bits.
//!
//! Each pass has a portable loop and one for x86-64 CPUs with AVX2. The loop is chosen at run time. Both give the same
//! bytes, because they add integers.

use super::coefficients::{Coefficients, PRECISION_BITS};

/// One half in fixed point. It is added to each sum, so that the shift rounds to the nearest integer.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// The number of bytes of a row that the vertical pass sums in registers at once.
const BLOCK: usize = 64;

/// Resizes each row of `source`, of `stride` bytes, into the rows of `target`.
pub(super) fn horizontal(source: &[u8], stride: usize, across: &Coefficients, target: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "vector instructions found when running")]
        // SAFETY: the CPU has AVX2, the only requirement of the function.
        unsafe {
            avx2::horizontal(source, stride, across, target);
        }
        return;
    }
    for (row, out) in source.chunks_exact(stride).zip(target.chunks_exact_mut(across.len() * 3)) {
        horizontal_row(row, across, out);
    }
}

/// Computes each row of `target`, of `stride` bytes, from the rows of `source`, which begins with row `first` of the
/// image.
pub(super) fn vertical(source: &[u8], stride: usize, first: usize, down: &Coefficients, target: &mut [u8]) {
    let mut compute_row: fn(&[u8], &[i32], &mut [u8]) = vertical_row;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        compute_row = |rows, weights, out| {
            #[expect(unsafe_code, reason = "vector instructions found when running")]
            // SAFETY: the CPU has AVX2, the only requirement of the function.
            unsafe {
                avx2::vertical_row(rows, weights, out);
            }
        };
    }
    for (out, (start, weights)) in target.chunks_exact_mut(stride).zip(down.iter()) {
        compute_row(&source[(start - first) * stride..], weights, out);
    }
}

/// Resizes one row with the portable loop.
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

/// Computes one row: each byte is the weighted sum of the bytes of the same column in `rows`.
#[inline(always)]
fn vertical_row(rows: &[u8], weights: &[i32], out: &mut [u8]) {
    let stride = out.len();
    let (blocks, _) = out.as_chunks_mut::<BLOCK>();
    for (block, column) in blocks.iter_mut().zip((0..).step_by(BLOCK)) {
        weighted_sum(block, &rows[column..], stride, weights);
    }
    // The last block ends at the end of the row and overlaps the block before.
    match out.last_chunk_mut::<BLOCK>() {
        Some(_) if stride.is_multiple_of(BLOCK) => {}
        Some(block) => weighted_sum(block, &rows[stride - BLOCK..], stride, weights),
        None => {
            for (column, byte) in out.iter_mut().enumerate() {
                weighted_sum(std::array::from_mut(byte), &rows[column..], stride, weights);
            }
        }
    }
}

/// Computes `N` neighbouring bytes of a row, in a form that the compiler vectorises.
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

/// The passes with AVX2.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Coefficients, HALF, PRECISION_BITS};

    /// The number of rows that are resized together, so that weights are loaded once for all.
    const ROWS: usize = 4;
    /// The largest number of bytes that are read beyond the end of the last row, because pixels are loaded 16 bytes at
    /// a time.
    const PADDING: usize = 16;
    /// The number of bits in the lower part of a weight. The upper and the lower part each fit into 16 bits, so that
    /// one instruction multiplies them in pairs.
    const LOW_BITS: u32 = 11;

    /// Computes one row with the portable loop, compiled for AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) fn vertical_row(rows: &[u8], weights: &[i32], out: &mut [u8]) {
        super::vertical_row(rows, weights, out);
    }

    /// Resizes each row of `source`, of `stride` bytes, into the rows of `target`.
    #[target_feature(enable = "avx2")]
    pub(super) fn horizontal(source: &[u8], stride: usize, across: &Coefficients, target: &mut [u8]) {
        let weights: Vec<SplitPair> = across.iter_pairs().flat_map(|(_, pairs)| pairs.iter().map(split)).collect();
        let width = across.len() * 3;
        let mut padded = vec![0; ROWS * stride + PADDING];
        let mut resized = vec![0; ROWS * (width + 1)];
        let groups = source.chunks(ROWS * stride).zip(target.chunks_mut(ROWS * width)).enumerate();
        for (group, (rows, out)) in groups {
            let rows = match source[group * ROWS * stride..].get(..padded.len()) {
                Some(rows) => rows,
                None => {
                    padded[..rows.len()].copy_from_slice(rows);
                    &padded
                }
            };
            horizontal_rows(rows, stride, across, &weights, &mut resized);
            for (out, resized) in out.chunks_exact_mut(width).zip(resized.chunks_exact(width + 1)) {
                out.copy_from_slice(&resized[..width]);
            }
        }
    }

    /// The upper parts and the lower parts of the weights of two taps.
    type SplitPair = [[i16; 2]; 2];

    fn split(pair: &[i32; 2]) -> SplitPair {
        // Normalised weights are below 16, so that the upper parts have at most 15 bits. The sums of either part may
        // wrap: the arithmetic is modulo 2^32, and the total fits.
        debug_assert!(pair.iter().all(|weight| i16::try_from(weight >> LOW_BITS).is_ok()));
        [pair.map(|weight| (weight >> LOW_BITS) as i16), pair.map(|weight| (weight & ((1 << LOW_BITS) - 1)) as i16)]
    }

    /// Resizes [`ROWS`] rows, with [`PADDING`] bytes after the last one. Each row of `out` is followed by one byte.
    #[target_feature(enable = "avx2")]
    fn horizontal_rows(rows: &[u8], stride: usize, across: &Coefficients, weights: &[SplitPair], out: &mut [u8]) {
        // Expands the bytes r g b r g b . . to the 16-bit numbers r r g g b b 0 0.
        let spread =
            _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
        let (first, rest) = out.split_at_mut(across.len() * 3 + 1);
        let (second, rest) = rest.split_at_mut(first.len());
        let (third, fourth) = rest.split_at_mut(first.len());
        let mut weights = weights;
        for (i, (start, pairs)) in across.iter_pairs().enumerate() {
            let (of_pixel, rest) = weights.split_at(pairs.len());
            weights = rest;
            // One row is in the lower half of each register, the next one in the upper half.
            let (mut high, mut low) = ([_mm256_setzero_si256(); ROWS / 2], [_mm256_set1_epi32(HALF); ROWS / 2]);
            for (pair, [high_parts, low_parts]) in of_pixel.iter().enumerate() {
                let taps = &rows[(start + 2 * pair) * 3..];
                let (high_parts, low_parts) = (broadcast_pair(high_parts), broadcast_pair(low_parts));
                for half in 0..ROWS / 2 {
                    let bytes =
                        _mm256_set_m128i(load(&taps[(2 * half + 1) * stride..]), load(&taps[2 * half * stride..]));
                    let numbers = _mm256_shuffle_epi8(bytes, spread);
                    high[half] = _mm256_add_epi32(high[half], _mm256_madd_epi16(numbers, high_parts));
                    low[half] = _mm256_add_epi32(low[half], _mm256_madd_epi16(numbers, low_parts));
                }
            }
            let level = |half: usize| {
                let sums = _mm256_add_epi32(_mm256_slli_epi32::<{ LOW_BITS as i32 }>(high[half]), low[half]);
                _mm256_srai_epi32::<{ PRECISION_BITS as i32 }>(sums)
            };
            // Packing saturates at 0 and 255.
            let levels = _mm256_packs_epi32(level(0), level(1));
            let levels = _mm256_packus_epi16(levels, levels);
            // Four bytes are written. The fourth one belongs to the next pixel, which is written afterwards.
            let at = i * 3..i * 3 + 4;
            first[at.clone()].copy_from_slice(&_mm256_extract_epi32::<0>(levels).to_le_bytes());
            second[at.clone()].copy_from_slice(&_mm256_extract_epi32::<4>(levels).to_le_bytes());
            third[at.clone()].copy_from_slice(&_mm256_extract_epi32::<1>(levels).to_le_bytes());
            fourth[at].copy_from_slice(&_mm256_extract_epi32::<5>(levels).to_le_bytes());
        }
    }

    /// Repeats two 16-bit numbers in every four bytes.
    #[target_feature(enable = "avx2")]
    fn broadcast_pair(pair: &[i16; 2]) -> __m256i {
        _mm256_set1_epi32(i32::from(pair[1]) << 16 | i32::from(pair[0] as u16))
    }

    /// Loads the first 16 bytes.
    #[target_feature(enable = "avx2")]
    fn load(from: &[u8]) -> __m128i {
        let bytes: &[u8; 16] = from.first_chunk().expect("at least 16 bytes follow each pixel");
        #[expect(unsafe_code, reason = "a load from memory")]
        // SAFETY: the slice has at least 16 bytes.
        unsafe {
            _mm_loadu_si128(bytes.as_ptr().cast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx2_equals_the_portable_loop() {
        if !is_x86_feature_detected!("avx2") {
            return testing::skip(testing::Need::Avx2, "this processor has no AVX2");
        }
        for (input, output) in [(1, 5), (2, 1), (3, 7), (17, 16), (64, 64), (101, 37), (300, 9), (21, 130)] {
            for filter in [Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
                for rows in [1, 3, 4, 9, 16] {
                    let across = Coefficients::new(filter, input, output, 0..output);
                    let source: Vec<u8> = (0..rows * input * 3).map(|i| (i * i * 31 + i / 3) as u8).collect();
                    let (mut plain, mut vector) = (vec![0; rows * output * 3], vec![0; rows * output * 3]);
                    for (row, out) in source.chunks_exact(input * 3).zip(plain.chunks_exact_mut(output * 3)) {
                        horizontal_row(row, &across, out);
                    }
                    horizontal(&source, input * 3, &across, &mut vector);
                    assert_eq!(plain, vector, "{filter:?} {input} -> {output}, {rows} rows");
                }
            }
        }
    }

    #[test]
    fn blocks_of_columns_equal_single_columns() {
        for width in [1, 21, 22, 43, 64, 101] {
            let stride = width * 3;
            for (input, output) in [(1, 5), (17, 16), (101, 37), (21, 130)] {
                for filter in [Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
                    let down = Coefficients::new(filter, input, output, output / 3..output);
                    let first = down.input_range().start;
                    let source: Vec<u8> = (0..input * stride).map(|i| (i * i * 31 + i / 3) as u8).collect();
                    let (mut plain, mut blocks) = (vec![0; down.len() * stride], vec![0; down.len() * stride]);
                    for (row, (start, weights)) in plain.chunks_exact_mut(stride).zip(down.iter()) {
                        for (column, byte) in row.iter_mut().enumerate() {
                            let taps = source[start * stride + column..].iter().step_by(stride);
                            let sum: i32 = taps.zip(weights).map(|(&tap, weight)| i32::from(tap) * weight).sum();
                            *byte = to_byte(sum + HALF);
                        }
                    }
                    vertical(&source[first * stride..], stride, first, &down, &mut blocks);
                    assert_eq!(plain, blocks, "{filter:?} {input} -> {output}, {width} pixels wide");
                }
            }
        }
    }

    #[test]
    fn wrapping_partial_sums_give_the_right_total() {
        const WIDTH: usize = 60_000;
        let source = [255; WIDTH * 3];
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
            let across = Coefficients::new(filter, WIDTH, 2, 0..2);
            let (mut plain, mut vector) = ([0; 6], [0; 6]);
            horizontal_row(&source, &across, &mut plain);
            horizontal(&source, WIDTH * 3, &across, &mut vector);
            assert_eq!(plain, vector, "{filter:?}");
            assert!(plain.iter().all(|&byte| byte >= 254), "{filter:?} {plain:?}");
        }
    }
}
