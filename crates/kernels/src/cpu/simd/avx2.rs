//! AVX2 with FMA: 16 registers of 8 floats.
#![expect(unsafe_code, reason = "intrinsics beyond the baseline of the target")]

use core::arch::x86_64::{
    __m256, _CMP_GT_OQ, _CMP_UNORD_Q, _MM_HINT_T1, _mm_prefetch, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps,
    _mm256_blendv_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_div_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_or_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32,
    _mm256_storeu_ps, _mm256_sub_ps,
};

use super::{Kernel, Simd, padded};

/// A proof that the processor has the instructions. Only [`run`] creates it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

/// Runs `kernel`, compiled with these instructions.
#[target_feature(enable = "avx2,fma")]
pub(super) fn run(kernel: impl Kernel) {
    kernel.run(Avx2(()));
}

// SAFETY of all methods: `self` proves that the processor has the instructions; loads and stores stay within the
// slices.
impl Simd for Avx2 {
    type Vector = __m256;
    const LANES: usize = 8;
    // 12 accumulators, two columns of the right operand and one broadcast of the left: 15 of 16 registers.
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        if from.len() >= Self::LANES {
            // SAFETY: see above.
            unsafe { _mm256_loadu_ps(from.as_ptr()) }
        } else {
            let all = padded::<{ Self::LANES }>(from);
            // SAFETY: see above.
            unsafe { _mm256_loadu_ps(all.as_ptr()) }
        }
    }

    #[inline(always)]
    fn store(self, vector: __m256, to: &mut [f32]) {
        if to.len() >= Self::LANES {
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), vector) }
        } else {
            let mut all = [0.0; Self::LANES];
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(all.as_mut_ptr(), vector) }
            to.copy_from_slice(&all[..to.len()]);
        }
    }

    #[inline(always)]
    fn stream(self, vector: __m256, to: &mut [f32]) {
        // An ordinary store. A register is half a cache line, and with non-temporal stores, the halves would wait for
        // each other in the few write-combining buffers. On Zen 3, layers took 1.5 times as long.
        self.store(vector, to);
    }

    #[inline(always)]
    fn prefetch<T>(self, from: &[T], at: usize) {
        // SAFETY: see above; a prefetch does not access memory, so that any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, a: __m256, t: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe {
            let exponents = _mm256_slli_epi32::<23>(_mm256_castps_si256(t));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponents))
        }
    }

    #[inline(always)]
    fn relu(self, a: __m256) -> __m256 {
        // The instruction returns its second operand if either is NaN.
        // SAFETY: see above.
        unsafe { _mm256_max_ps(_mm256_setzero_ps(), a) }
    }

    #[inline(always)]
    fn mask_positive(self, test: __m256, value: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(test, _mm256_setzero_ps()), value) }
    }

    #[inline(always)]
    fn select_greater(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe {
            let above = _mm256_or_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b), _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
            _mm256_blendv_ps(y, x, above)
        }
    }
}
