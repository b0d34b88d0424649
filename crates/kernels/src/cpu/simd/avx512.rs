//! AVX-512: 32 registers of 16 floats.
#![expect(unsafe_code, reason = "intrinsics beyond the baseline of the target")]

use core::arch::x86_64::{
    __m512, _CMP_GT_OQ, _CMP_UNORD_Q, _MM_HINT_T1, _mm_prefetch, _mm_sfence, _mm512_add_epi32, _mm512_add_ps,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_mov_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps, _mm512_max_ps,
    _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_stream_ps,
    _mm512_sub_ps,
};

use super::{Kernel, Simd};

/// A proof that the processor has the instructions. Only [`run`] and [`super::bf16`] create it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Creates the value, for callers that are compiled with these instructions and others.
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// Runs `kernel`, compiled with these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) fn run(kernel: impl Kernel) {
    kernel.run(Avx512(()));
    // Order non-temporal stores before the synchronisation with other threads.
    _mm_sfence();
}

/// The mask of the first `len` lanes. `len` must be less than the number of lanes.
#[inline(always)]
fn first_lanes(len: usize) -> u16 {
    (1 << len) - 1
}

// SAFETY of all methods: `self` proves that the processor has the instructions; loads and stores stay within the
// slices.
impl Simd for Avx512 {
    type Vector = __m512;
    const LANES: usize = 16;
    // 28 accumulators, two columns of the right operand and one broadcast of the left: 31 of 32 registers.
    const ROWS: usize = 14;
    const STREAMS: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m512 {
        if from.len() >= Self::LANES {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(from.as_ptr()) }
        } else {
            // SAFETY: see above; masked lanes are not read.
            unsafe { _mm512_maskz_loadu_ps(first_lanes(from.len()), from.as_ptr()) }
        }
    }

    #[inline(always)]
    fn store(self, vector: __m512, to: &mut [f32]) {
        if to.len() >= Self::LANES {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) }
        } else {
            // SAFETY: see above; masked lanes are not written.
            unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first_lanes(to.len()), vector) }
        }
    }

    #[inline(always)]
    fn stream(self, vector: __m512, to: &mut [f32]) {
        if to.len() >= Self::LANES && to.as_ptr().cast::<__m512>().is_aligned() {
            // SAFETY: see above; `to` is aligned.
            unsafe { _mm512_stream_ps(to.as_mut_ptr(), vector) }
        } else {
            self.store(vector, to);
        }
    }

    #[inline(always)]
    fn prefetch(self, from: &[f32], at: usize) {
        // SAFETY: see above; a prefetch does not access memory, so that any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, a: __m512, t: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let exponents = _mm512_slli_epi32::<23>(_mm512_castps_si512(t));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), exponents))
        }
    }

    #[inline(always)]
    fn relu(self, a: __m512) -> __m512 {
        // The instruction returns its second operand if either is NaN.
        // SAFETY: see above.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), a) }
    }

    #[inline(always)]
    fn mask_positive(self, test: __m512, value: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(test, _mm512_setzero_ps()), value) }
    }

    #[inline(always)]
    fn select_greater(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
            _mm512_mask_mov_ps(y, above, x)
        }
    }
}
