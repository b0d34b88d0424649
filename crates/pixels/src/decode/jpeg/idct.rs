//! The inverse discrete cosine transform of libjpeg (`jidctint.c`): the algorithm of C. Loeffler, A. Ligtenberg and
//! G. Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989.
//!
//! The samples equal those of libjpeg-turbo bit for bit. Numbers have 16 bits and sums of products have 32 bits, as in
//! its vector code, so that coefficients which no encoder writes overflow in the same way.

use std::array::from_fn;

/// The number of fractional bits of the constants.
const CONST_BITS: u32 = 13;
/// The number of fractional bits between the two passes.
const PASS1_BITS: u32 = 2;
/// By how many bits each pass shifts its sums.
const SHIFTS: [u32; 2] = [CONST_BITS - PASS1_BITS, CONST_BITS + PASS1_BITS + 3];

const FIX_0_298: i16 = 2446;
const FIX_0_390: i16 = 3196;
const FIX_0_541: i16 = 4433;
const FIX_0_765: i16 = 6270;
const FIX_0_899: i16 = 7373;
const FIX_1_175: i16 = 9633;
const FIX_1_501: i16 = 12299;
const FIX_1_847: i16 = 15137;
const FIX_1_961: i16 = 16069;
const FIX_2_053: i16 = 16819;
const FIX_2_562: i16 = 20995;
const FIX_3_072: i16 = 25172;

// The algorithm with its sums multiplied out, so that each term is a sum of two products: the factors of the terms.
const EVEN_2: [i16; 2] = [FIX_0_541, FIX_0_541 - FIX_1_847];
const EVEN_3: [i16; 2] = [FIX_0_541 + FIX_0_765, FIX_0_541];
const SUM_3: [i16; 2] = [FIX_1_175 - FIX_1_961, FIX_1_175];
const SUM_4: [i16; 2] = [FIX_1_175, FIX_1_175 - FIX_0_390];
const ODD_0: [i16; 2] = [FIX_0_298 - FIX_0_899, -FIX_0_899];
const ODD_1: [i16; 2] = [FIX_2_053 - FIX_2_562, -FIX_2_562];
const ODD_2: [i16; 2] = [-FIX_2_562, FIX_3_072 - FIX_2_562];
const ODD_3: [i16; 2] = [-FIX_0_899, FIX_1_501 - FIX_0_899];

/// Returns the fastest version of [`samples`] for this CPU.
pub(super) fn fastest() -> fn(&[i16; 64]) -> [[u8; 8]; 8] {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        return |block| {
            #[expect(unsafe_code, reason = "vector instructions found when running")]
            // SAFETY: the CPU has AVX2, the only requirement of the function.
            unsafe {
                avx2::samples(block)
            }
        };
    }
    samples
}

/// Transforms dequantised coefficients, in row order, to rows of samples.
fn samples(block: &[i16; 64]) -> [[u8; 8]; 8] {
    let mut columns = [[0; 8]; 8];
    for (x, column) in columns.iter_mut().enumerate() {
        *column = transform(from_fn(|y| block[8 * y + x]), SHIFTS[0]);
    }
    from_fn(|y| transform(from_fn(|x| columns[x][y]), SHIFTS[1]).map(sample))
}

/// Returns what [`samples`] returns for a block whose only coefficient is the first one.
pub(super) fn constant_samples(dc: i16) -> [[u8; 8]; 8] {
    // The first pass multiplies by four and saturates, the second one divides by 32.
    let first = (i32::from(dc) << PASS1_BITS).clamp(i16::MIN.into(), i16::MAX.into());
    [[sample(((first + 16) >> 5) as i16); 8]; 8]
}

fn sample(value: i16) -> u8 {
    (i32::from(value) + 128).clamp(0, 255) as u8
}

/// Transforms a row or column, and divides by two to the power of `shift`.
fn transform(x: [i16; 8], shift: u32) -> [i16; 8] {
    let dot = |a: i16, b: i16, [of_a, of_b]: [i16; 2]| i32::from(a) * i32::from(of_a) + i32::from(b) * i32::from(of_b);
    let add = |a: i32, b: i32| a.wrapping_add(b);

    let even0 = i32::from(x[0].wrapping_add(x[4])) << CONST_BITS;
    let even1 = i32::from(x[0].wrapping_sub(x[4])) << CONST_BITS;
    let (even2, even3) = (dot(x[2], x[6], EVEN_2), dot(x[2], x[6], EVEN_3));
    let even = [add(even0, even3), add(even1, even2), even1.wrapping_sub(even2), even0.wrapping_sub(even3)];

    let (z3, z4) = (x[7].wrapping_add(x[3]), x[5].wrapping_add(x[1]));
    let (z3, z4) = (dot(z3, z4, SUM_3), dot(z3, z4, SUM_4));
    let odd = [
        add(dot(x[7], x[1], ODD_3), z4),
        add(dot(x[5], x[3], ODD_2), z3),
        add(dot(x[5], x[3], ODD_1), z4),
        add(dot(x[7], x[1], ODD_0), z3),
    ];

    let half = 1 << (shift - 1);
    from_fn(|i| {
        let sum = if i < 4 { even[i].wrapping_add(odd[i]) } else { even[7 - i].wrapping_sub(odd[7 - i]) };
        (add(sum, half) >> shift).clamp(i16::MIN.into(), i16::MAX.into()) as i16
    })
}

/// The transform with AVX2.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::*;

    /// Transforms dequantised coefficients, in row order, to rows of samples.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn samples(block: &[i16; 64]) -> [[u8; 8]; 8] {
        let rows: [__m128i; 8] = from_fn(|y| load(&block.as_chunks::<8>().0[y]));
        let columns = transpose(transform::<{ SHIFTS[0] as i32 }>(rows));
        let rows = transpose(transform::<{ SHIFTS[1] as i32 }>(columns));
        let mut samples = [[0; 8]; 8];
        for ([first, second], out) in rows.as_chunks::<2>().0.iter().zip(samples.as_chunks_mut::<2>().0) {
            // Packing saturates at -128 and 127. Changing the highest bit adds 128.
            let bytes = _mm_xor_si128(_mm_packs_epi16(*first, *second), _mm_set1_epi8(-128));
            *out = [_mm_cvtsi128_si64(bytes).to_le_bytes(), _mm_extract_epi64::<1>(bytes).to_le_bytes()];
        }
        samples
    }

    /// Transforms the columns of `x`, and divides by two to the power of `SHIFT`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transform<const SHIFT: i32>(x: [__m128i; 8]) -> [__m128i; 8] {
        let even0 = _mm256_slli_epi32::<{ CONST_BITS as i32 }>(_mm256_cvtepi16_epi32(_mm_add_epi16(x[0], x[4])));
        let even1 = _mm256_slli_epi32::<{ CONST_BITS as i32 }>(_mm256_cvtepi16_epi32(_mm_sub_epi16(x[0], x[4])));
        let two_six = pair(x[2], x[6]);
        let (even2, even3) = (dot(two_six, EVEN_2), dot(two_six, EVEN_3));
        let half = _mm256_set1_epi32(1 << (SHIFT - 1));
        let (even0, even1) = (_mm256_add_epi32(even0, half), _mm256_add_epi32(even1, half));
        let even = [
            _mm256_add_epi32(even0, even3),
            _mm256_add_epi32(even1, even2),
            _mm256_sub_epi32(even1, even2),
            _mm256_sub_epi32(even0, even3),
        ];

        let z = pair(_mm_add_epi16(x[7], x[3]), _mm_add_epi16(x[5], x[1]));
        let (z3, z4) = (dot(z, SUM_3), dot(z, SUM_4));
        let (seven_one, five_three) = (pair(x[7], x[1]), pair(x[5], x[3]));
        let odd = [
            _mm256_add_epi32(dot(seven_one, ODD_3), z4),
            _mm256_add_epi32(dot(five_three, ODD_2), z3),
            _mm256_add_epi32(dot(five_three, ODD_1), z4),
            _mm256_add_epi32(dot(seven_one, ODD_0), z3),
        ];

        let mut result = [_mm_setzero_si128(); 8];
        for i in 0..4 {
            let first = _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even[i], odd[i]));
            let last = _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even[i], odd[i]));
            // Packs each half of the registers, and saturates.
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(first, last));
            result[i] = _mm256_castsi256_si128(packed);
            result[7 - i] = _mm256_extracti128_si256::<1>(packed);
        }
        result
    }

    /// Interleaves two rows.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pair(a: __m128i, b: __m128i) -> __m256i {
        _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b))
    }

    /// Multiplies interleaved rows with two factors, and adds the products.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn dot(pair: __m256i, [of_a, of_b]: [i16; 2]) -> __m256i {
        _mm256_madd_epi16(pair, _mm256_set1_epi32(i32::from(of_b) << 16 | i32::from(of_a as u16)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn transpose(rows: [__m128i; 8]) -> [__m128i; 8] {
        let interleave = |[a, b, c, d, e, f, g, h]: [__m128i; 8]| {
            [
                _mm_unpacklo_epi16(a, e),
                _mm_unpackhi_epi16(a, e),
                _mm_unpacklo_epi16(b, f),
                _mm_unpackhi_epi16(b, f),
                _mm_unpacklo_epi16(c, g),
                _mm_unpackhi_epi16(c, g),
                _mm_unpacklo_epi16(d, h),
                _mm_unpackhi_epi16(d, h),
            ]
        };
        interleave(interleave(interleave(rows)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(row: &[i16; 8]) -> __m128i {
        #[expect(unsafe_code, reason = "a load from memory")]
        // SAFETY: an array of eight numbers has 16 bytes.
        unsafe {
            _mm_loadu_si128(row.as_ptr().cast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with the definition in T.81, A.3.3.
    #[test]
    fn agrees_with_the_definition_of_the_transform() {
        let block: [i16; 64] = from_fn(|i| if i == 0 { 90 } else { (i as i16 * 37 % 41 - 20) * 3 });
        let ours = samples(&block);
        for (i, &sample) in ours.as_flattened().iter().enumerate() {
            let (x, y) = (i % 8, i / 8);
            let mut sum = 0.0;
            for (k, &value) in block.iter().enumerate() {
                let (u, v) = (k % 8, k / 8);
                let scale = |k| if k == 0 { 0.5_f64.sqrt() } else { 1.0 };
                let wave = |x, u| ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos();
                sum += scale(u) * scale(v) * f64::from(value) * wave(x, u) * wave(y, v) / 4.0;
            }
            let expected = (sum + 128.0).clamp(0.0, 255.0);
            assert!((f64::from(sample) - expected).abs() < 0.6, "{i}: {sample} is not {expected}");
        }
    }

    /// Compares over blocks with few or many coefficients, of usual sizes and of sizes that overflow.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx2_equals_the_portable_loop() {
        if !is_x86_feature_detected!("avx2") {
            return testing::skip(testing::Need::Avx2, "this processor has no AVX2");
        }
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for case in 0..20_000 {
            let (count, bits) = (1 + case % 64, 1 + case / 64 % 16);
            let mut block = [0; 64];
            for _ in 0..count {
                block[next() as usize % 64] = (next() as i16) >> (16 - bits);
            }
            assert_eq!(fastest()(&block), samples(&block), "{block:?}");
        }
    }

    #[test]
    fn a_constant_block_needs_no_transform() {
        for dc in i16::MIN..=i16::MAX {
            let mut block = [0; 64];
            block[0] = dc;
            assert_eq!(constant_samples(dc), samples(&block), "{dc}");
        }
    }
}
