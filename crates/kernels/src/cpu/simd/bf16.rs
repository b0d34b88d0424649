//! Instruction sets that multiply bf16 and add in f32. A packed element is a pair of bf16: two steps of the depth.
//!
//! bf16 is the upper half of an f32, with 8 bits of exponent and 7 of mantissa. The product of two bf16 is exact in
//! f32; only the sums are rounded.

use half::bf16;

#[cfg(any(test, feature = "portable-bf16"))]
use super::Simd;
#[cfg(any(test, feature = "portable-bf16"))]
use super::delegate::delegate_to_inner;
#[cfg(any(test, feature = "portable-bf16"))]
use super::portable::Portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Avx512Bf16;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::run;

/// Converts two values to bf16 and packs them into the bits of an f32, the earlier step in the lower half. The result
/// is a bit pattern: f32 arithmetic with it is meaningless.
pub(super) fn pair(even: f32, odd: f32) -> f32 {
    let [even, odd] = [even, odd].map(|value| u32::from(bf16::from_f32(value).to_bits()));
    f32::from_bits(odd << 16 | even)
}

/// Unpacks a pair, the earlier step first.
#[cfg(any(test, feature = "portable-bf16"))]
fn halves(pair: f32) -> [f32; 2] {
    let bits = pair.to_bits();
    [f32::from_bits(bits << 16), f32::from_bits(bits & 0xFFFF_0000)]
}

/// The reference implementation in portable Rust.
#[cfg(any(test, feature = "portable-bf16"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortableBf16(Portable);

#[cfg(any(test, feature = "portable-bf16"))]
impl PortableBf16 {
    /// Creates the value. Every processor has the baseline, so nothing is checked.
    pub(crate) fn new() -> Self {
        Self(Portable::new())
    }
}

#[cfg(any(test, feature = "portable-bf16"))]
impl Simd for PortableBf16 {
    delegate_to_inner!(Portable);

    const ROWS: usize = Portable::ROWS;
    const STEPS: usize = 2;

    #[inline(always)]
    fn accumulate(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        std::array::from_fn(|i| {
            let ([a, next_a], [b, next_b]) = (halves(a[i]), halves(b[i]));
            // The instruction adds the later step first.
            c[i] + next_a * next_b + a * b
        })
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "intrinsics beyond the baseline of the target")]
mod x86 {
    use core::arch::x86_64::{
        __m256, __m256bh, __m512, __m512bh, __m512i, _mm_sfence, _mm256_storeu_ps, _mm512_castsi512_ps,
        _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_permutexvar_epi16,
    };
    use core::mem::transmute;

    use super::super::avx512::Avx512;
    use super::super::delegate::delegate_to_inner;
    use super::super::{Kernel, Simd};

    /// AVX-512 with its bf16 instructions. A proof that the processor has them; only [`run`] and `amx` create it.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx512Bf16(Avx512);

    impl Avx512Bf16 {
        /// Creates the value, for callers that are compiled with these instructions and others.
        pub(in super::super) fn new() -> Self {
            Self(Avx512::new())
        }
    }

    /// Runs `kernel`, compiled with these instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    pub(in super::super) fn run(kernel: impl Kernel) {
        kernel.run(Avx512Bf16::new());
        // Order non-temporal stores before the synchronisation with other threads.
        _mm_sfence();
    }

    /// The permutation of 16-bit words that interleaves the lower half of a register (the earlier steps) with the upper
    /// half (the later steps).
    static INTERLEAVE: [u16; 32] = interleave();

    const fn interleave() -> [u16; 32] {
        let mut words = [0; 32];
        let mut i = 0;
        while i < 32 {
            words[i] = (i / 2 + i % 2 * 16) as u16;
            i += 1;
        }
        words
    }

    // SAFETY of all methods: `self` proves that the processor has the instructions; loads and stores stay within the
    // slices; registers are transmuted to types of the same size.
    impl Simd for Avx512Bf16 {
        delegate_to_inner!(Avx512);

        const ROWS: usize = Avx512::ROWS;
        const STEPS: usize = 2;

        #[inline(always)]
        fn accumulate(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_dpbf16_ps(c, transmute::<__m512, __m512bh>(a), transmute::<__m512, __m512bh>(b)) }
        }

        #[inline(always)]
        fn pair(self, even: __m512, odd: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe {
                let words = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(odd, even));
                let order = _mm512_loadu_si512(INTERLEAVE.as_ptr().cast());
                _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, words))
            }
        }

        #[inline(always)]
        fn narrow(self, vector: __m512, to: &mut [f32]) {
            // SAFETY: see above.
            let pairs = unsafe { transmute::<__m256bh, __m256>(_mm512_cvtneps_pbh(vector)) };
            if to.len() >= Self::LANES / 2 {
                // SAFETY: see above.
                unsafe { _mm256_storeu_ps(to.as_mut_ptr(), pairs) }
            } else {
                let mut all = [0.0; Avx512::LANES / 2];
                // SAFETY: see above.
                unsafe { _mm256_storeu_ps(all.as_mut_ptr(), pairs) }
                to.copy_from_slice(&all[..to.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Isa, Kernel};
    use super::*;

    #[test]
    fn pair_rounds_and_keeps_both_values() {
        for (even, odd) in [(1.0, -2.5), (1.003, 3.999), (0.0, f32::INFINITY), (-0.0, 1e-3)] {
            let rounded = [even, odd].map(|value| bf16::from_f32(value).to_f32());
            assert_eq!(halves(pair(even, odd)).map(f32::to_bits), rounded.map(f32::to_bits));
        }
        assert!(halves(pair(f32::NAN, 1.0))[0].is_nan());
    }

    /// Runs all bf16 operations. `to` receives the results of `pair`, `narrow` and `accumulate`.
    struct Bf16Operations<'a> {
        even: &'a [f32; 16],
        odd: &'a [f32; 16],
        to: &'a mut [[f32; 16]; 3],
    }

    impl Kernel for Bf16Operations<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let [pairs, narrowed, products] = self.to;
            for i in (0..16).step_by(S::LANES) {
                let (even, odd) = (s.load(&self.even[i..]), s.load(&self.odd[i..]));
                let pair = s.pair(even, odd);
                s.store(pair, &mut pairs[i..]);
                s.narrow(even, &mut narrowed[i / 2..i / 2 + S::LANES / 2]);
                s.narrow(odd, &mut narrowed[8 + i / 2..8 + i / 2 + S::LANES / 2]);
                s.store(s.accumulate(pair, s.pair(odd, odd), even), &mut products[i..]);
            }
        }
    }

    #[test]
    fn all_instruction_sets_match_reference() {
        let even = std::array::from_fn(|i| (i as f32 * 0.731).sin() * 3.0);
        let odd = std::array::from_fn(|i| (i as f32 * 1.37).cos() / 7.0);
        let rounded = |value: f32| bf16::from_f32(value).to_f32();
        for isa in Isa::with_bf16() {
            let mut found = [[f32::NAN; 16]; 3];
            isa.run(Bf16Operations { even: &even, odd: &odd, to: &mut found });
            for i in 0..16 {
                assert_eq!(halves(found[0][i]), [rounded(even[i]), rounded(odd[i])], "{isa:?}");
                let neighbours = if i < 8 { &even } else { &odd };
                let expected = [neighbours[i % 8 * 2], neighbours[i % 8 * 2 + 1]].map(rounded);
                assert_eq!(halves(found[1][i]), expected, "{isa:?}");
                let expected = even[i] + rounded(odd[i]) * rounded(odd[i]) + rounded(even[i]) * rounded(odd[i]);
                assert!((found[2][i] - expected).abs() <= 1e-6, "{isa:?}: {} {expected}", found[2][i]);
            }
        }
    }
}
