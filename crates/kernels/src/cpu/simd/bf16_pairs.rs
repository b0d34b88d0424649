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
        __m256bh, __m512, __m512bh, __m512i, _mm_sfence, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh,
        _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_permutexvar_epi16, _mm512_storeu_si512, _mm512_stream_si512,
    };
    use core::mem::transmute;

    use half::bf16;

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
        fn store_bf16(self, vector: __m512, to: &mut [bf16]) {
            // SAFETY: see above.
            let values = unsafe { transmute::<__m256bh, [bf16; Avx512::LANES]>(_mm512_cvtneps_pbh(vector)) };
            match to.first_chunk_mut() {
                Some(to) => *to = values,
                None => to.copy_from_slice(&values[..to.len()]),
            }
        }

        #[inline(always)]
        fn store_row_bf16(self, row: [__m512; 2], to: &mut [bf16], stream: bool) {
            let Some(to) = to.first_chunk_mut::<{ 2 * Avx512::LANES }>() else {
                let (first, second) = to.split_at_mut(Self::LANES.min(to.len()));
                self.store_bf16(row[0], first);
                return self.store_bf16(row[1], second);
            };
            // SAFETY: see above.
            let values = unsafe { transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(row[1], row[0])) };
            let to = to.as_mut_ptr().cast::<__m512i>();
            if stream && to.is_aligned() {
                // SAFETY: see above; `to` is aligned.
                unsafe { _mm512_stream_si512(to, values) }
            } else {
                // SAFETY: see above.
                unsafe { _mm512_storeu_si512(to, values) }
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

    /// Runs all bf16 operations. `products` receives the results of `pair` and `accumulate`, and `stored` the rows of
    /// `store_row_bf16`, `store_bf16` and `load_bf16`.
    struct Bf16Operations<'a> {
        even: &'a [f32; 32],
        odd: &'a [f32; 32],
        products: &'a mut [[f32; 32]; 2],
        stored: &'a mut [[bf16; 32]; 3],
    }

    impl Kernel for Bf16Operations<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let ([pairs, products], [rows, single, loaded]) = (self.products, self.stored);
            for i in (0..32).step_by(S::LANES) {
                let (even, odd) = (s.load(&self.even[i..]), s.load(&self.odd[i..]));
                let pair = s.pair(even, odd);
                s.store(pair, &mut pairs[i..]);
                s.store(s.accumulate(pair, s.pair(odd, odd), even), &mut products[i..]);
                s.store_bf16(even, &mut single[i..]);
                s.store_bf16(s.load_bf16(&single[i..]), &mut loaded[i..]);
            }
            for i in (0..32).step_by(S::COLUMNS) {
                let row = [s.load(&self.even[i..]), s.load(&self.even[i + S::LANES..])];
                s.store_row_bf16(row, &mut rows[i..], i == 0);
            }
        }
    }

    #[test]
    fn all_instruction_sets_match_reference() {
        let even: [f32; 32] = std::array::from_fn(|i| (i as f32 * 0.731).sin() * 3.0);
        let odd: [f32; 32] = std::array::from_fn(|i| (i as f32 * 1.37).cos() / 7.0);
        let rounded = |value: f32| bf16::from_f32(value).to_f32();
        for isa in Isa::with_bf16().into_iter().chain(Isa::available()) {
            let (mut products, mut stored) = ([[f32::NAN; 32]; 2], [[bf16::NAN; 32]; 3]);
            isa.run(Bf16Operations { even: &even, odd: &odd, products: &mut products, stored: &mut stored });
            for i in 0..32 {
                for stored in stored {
                    assert_eq!(stored[i].to_f32(), rounded(even[i]), "{isa:?}");
                }
                if isa == isa.in_f32() {
                    continue;
                }
                assert_eq!(halves(products[0][i]), [rounded(even[i]), rounded(odd[i])], "{isa:?}");
                let expected = even[i] + rounded(odd[i]) * rounded(odd[i]) + rounded(even[i]) * rounded(odd[i]);
                assert!((products[1][i] - expected).abs() <= 1e-6, "{isa:?}: {} {expected}", products[1][i]);
            }
        }
    }

    /// Stores parts of a register as bf16, and loads them.
    struct Parts<'a>(&'a mut Vec<Vec<bf16>>);

    impl Kernel for Parts<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let row = [s.splat(f32::NAN), s.splat(1.5)];
            for len in 0..=S::COLUMNS {
                let mut to = vec![bf16::ZERO; len];
                s.store_row_bf16(row, &mut to, false);
                let mut back = vec![bf16::ZERO; len];
                let (first, second) = to.split_at(S::LANES.min(len));
                let (to_first, to_second) = back.split_at_mut(S::LANES.min(len));
                s.store_bf16(s.load_bf16(first), to_first);
                s.store_bf16(s.load_bf16(second), to_second);
                self.0.push(back);
            }
        }
    }

    #[test]
    fn parts_of_registers_are_stored_and_nan_stays_nan() {
        for isa in Isa::with_bf16().into_iter().chain(Isa::available()) {
            let mut stored = Vec::new();
            isa.run(Parts(&mut stored));
            for (len, stored) in stored.iter().enumerate() {
                let lanes = isa.tile().1 / 2;
                let expected = |i: usize| if i < lanes { "NaN" } else { "1.5" };
                let found: Vec<String> = stored.iter().map(|value| format!("{value}")).collect();
                assert_eq!(found, (0..len).map(expected).collect::<Vec<_>>(), "{isa:?}");
            }
        }
    }

    /// Pairs the elements of two rows.
    struct Interleave<'a>(&'a [bf16], &'a [bf16], &'a mut [f32]);

    impl Kernel for Interleave<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            s.interleave(self.0, self.1, self.2);
        }
    }

    #[test]
    fn rows_are_paired() {
        let [even, odd] = [0.5, -0.25].map(|x| (0..40).map(|i| bf16::from_f32(i as f32 * x)).collect::<Vec<_>>());
        for isa in Isa::with_bf16().into_iter().chain(Isa::available()) {
            let (mut to, columns) = ([f32::NAN; 40], isa.tile().1);
            isa.run(Interleave(&even, &odd, &mut to));
            for i in 0..columns {
                assert_eq!(halves(to[i]), [even[i].to_f32(), odd[i].to_f32()], "{isa:?}");
            }
            assert!(to[columns].is_nan(), "{isa:?}");
        }
    }

    /// Transposes a block.
    struct Transpose<'a>(&'a [f32], &'a mut [f32]);

    impl Kernel for Transpose<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            s.transpose_block(self.0, 19, self.1, 17);
        }
    }

    #[test]
    fn blocks_are_transposed() {
        let from: Vec<f32> = (0..15 * 19 + 16).map(|i| i as f32).collect();
        for isa in Isa::with_bf16().into_iter().chain(Isa::available()) {
            let mut to = vec![f32::NAN; 15 * 17 + 16];
            isa.run(Transpose(&from, &mut to));
            for i in 0..16 {
                for j in 0..16 {
                    assert_eq!(to[j * 17 + i], from[i * 19 + j], "{isa:?}");
                }
            }
        }
    }
}
