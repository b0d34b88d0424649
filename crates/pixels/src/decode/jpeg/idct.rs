//! The inverse discrete cosine transform of libjpeg (`jidctint.c`), bit for bit: the algorithm of C. Loeffler,
//! A. Ligtenberg and G. Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989.

/// The number of fractional bits of the constants.
const CONST_BITS: u32 = 13;
/// The number of fractional bits between the two passes.
const PASS1_BITS: u32 = 2;

const FIX_0_298631336: i32 = 2446;
const FIX_0_390180644: i32 = 3196;
const FIX_0_541196100: i32 = 4433;
const FIX_0_765366865: i32 = 6270;
const FIX_0_899976223: i32 = 7373;
const FIX_1_175875602: i32 = 9633;
const FIX_1_501321110: i32 = 12299;
const FIX_1_847759065: i32 = 15137;
const FIX_1_961570560: i32 = 16069;
const FIX_2_053119869: i32 = 16819;
const FIX_2_562915447: i32 = 20995;
const FIX_3_072711026: i32 = 25172;

/// Transforms dequantised coefficients in row order to samples.
pub(super) fn samples(mut block: [i32; 64]) -> [u8; 64] {
    for column in 0..8 {
        let input = std::array::from_fn(|i| block[8 * i + column]);
        let output = transform(input, CONST_BITS - PASS1_BITS);
        for (i, value) in output.into_iter().enumerate() {
            block[8 * i + column] = value;
        }
    }
    let mut samples = [0; 64];
    for (row, output) in block.as_chunks::<8>().0.iter().zip(samples.as_chunks_mut::<8>().0) {
        let values = transform(*row, CONST_BITS + PASS1_BITS + 3);
        *output = values.map(|value| (value.saturating_add(128)).clamp(0, 255) as u8);
    }
    samples
}

/// Transforms a row or column, and divides by two to the power of `shift`. Coefficients of damaged files wrap around.
fn transform(x: [i32; 8], shift: u32) -> [i32; 8] {
    let times = |a: i32, b: i32| a.wrapping_mul(b);
    let add = |a: i32, b: i32| a.wrapping_add(b);

    let z1 = times(add(x[2], x[6]), FIX_0_541196100);
    let even2 = add(z1, times(x[6], -FIX_1_847759065));
    let even3 = add(z1, times(x[2], FIX_0_765366865));
    let even0 = add(x[0], x[4]).wrapping_shl(CONST_BITS);
    let even1 = x[0].wrapping_sub(x[4]).wrapping_shl(CONST_BITS);
    let even = [add(even0, even3), add(even1, even2), even1.wrapping_sub(even2), even0.wrapping_sub(even3)];

    let (z1, z2, z3, z4) = (add(x[7], x[1]), add(x[5], x[3]), add(x[7], x[3]), add(x[5], x[1]));
    let z5 = times(add(z3, z4), FIX_1_175875602);
    let z1 = times(z1, -FIX_0_899976223);
    let z2 = times(z2, -FIX_2_562915447);
    let z3 = add(times(z3, -FIX_1_961570560), z5);
    let z4 = add(times(z4, -FIX_0_390180644), z5);
    let odd = [
        add(times(x[1], FIX_1_501321110), add(z1, z4)),
        add(times(x[3], FIX_3_072711026), add(z2, z3)),
        add(times(x[5], FIX_2_053119869), add(z2, z4)),
        add(times(x[7], FIX_0_298631336), add(z1, z3)),
    ];

    let half = 1 << (shift - 1);
    std::array::from_fn(|i| {
        let sum = if i < 4 { add(even[i], odd[i]) } else { even[7 - i].wrapping_sub(odd[7 - i]) };
        add(sum, half) >> shift
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with the definition in T.81, A.3.3.
    #[test]
    fn agrees_with_the_definition_of_the_transform() {
        let block: [i32; 64] = std::array::from_fn(|i| if i == 0 { 90 } else { (i as i32 * 37 % 41 - 20) * 3 });
        let ours = samples(block);
        for (i, &sample) in ours.iter().enumerate() {
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
}
