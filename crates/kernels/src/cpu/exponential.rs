//! The exponential function on registers.

use super::simd::Simd;

/// Adding this rounds to an integer, whose bits are then the lowest bits of the sum.
const ROUND: f32 = 1.5 * (1 << 23) as f32;
/// Below this argument the result is that of this argument, about 4e-38.
const LOWEST: f32 = -86.0;
/// Above this argument the result is that of this argument, about 2e38.
const HIGHEST: f32 = 88.0;
/// ln 2 in two parts. A multiple of the first by a small integer is exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// (exp(r) - 1 - r) / r² for |r| <= ln(2) / 2, highest power first: the minimax polynomial of `expf` in Cephes.
const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// Returns `exp(x)` within two units in the last place. Arguments outside of [-86, 88] are clamped. NaN stays NaN.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    let x = s.select_greater(x, s.splat(LOWEST), x, s.splat(LOWEST));
    let x = s.select_greater(s.sub(s.splat(0.0), x), s.splat(-HIGHEST), x, s.splat(HIGHEST));
    let t = s.fma(x, s.splat(std::f32::consts::LOG2_E), s.splat(ROUND));
    let n = s.sub(t, s.splat(ROUND));
    let r = s.fma(n, s.splat(-LN_2[0]), x);
    let r = s.fma(n, s.splat(-LN_2[1]), r);
    let mut sum = s.splat(POLYNOMIAL[0]);
    let mut power = 1;
    while power < POLYNOMIAL.len() {
        sum = s.fma(sum, r, s.splat(POLYNOMIAL[power]));
        power += 1;
    }
    let sum = s.fma(sum, s.mul(r, r), s.add(r, s.splat(1.0)));
    s.scale_by_power_of_two(sum, t)
}

/// Returns `1 / (1 + exp(-x))`.
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Isa, Kernel};
    use super::*;

    struct Exp<'a>(&'a [f32], &'a mut [f32]);

    impl Kernel for Exp<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for (x, to) in self.0.chunks(S::LANES).zip(self.1.chunks_mut(S::LANES)) {
                s.store(exp(s, s.load(x)), to);
            }
        }
    }

    #[test]
    fn matches_the_standard_library_and_keeps_nan() {
        let mut x: Vec<f32> = (-8600..=8800).map(|i| i as f32 * 0.01).collect();
        x.extend([-1e30, f32::NEG_INFINITY, 1e30, f32::NAN, 0.0, -0.0]);
        for isa in Isa::available().into_iter().chain(Isa::with_bf16()) {
            let mut found = vec![f32::NAN; x.len()];
            isa.run(Exp(&x, &mut found));
            for (&x, found) in x.iter().zip(found) {
                if x.is_nan() {
                    assert!(found.is_nan(), "{isa:?}");
                    continue;
                }
                let expected = f64::from(x.clamp(LOWEST, HIGHEST)).exp();
                assert!((f64::from(found) / expected - 1.0).abs() < 3e-7, "{isa:?}: exp({x}) is {found}");
            }
        }
    }
}
