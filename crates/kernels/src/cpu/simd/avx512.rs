//! AVX-512: 32 registers of 16 floats.
#![expect(unsafe_code, reason = "intrinsics beyond the baseline of the target")]

use core::arch::x86_64::{
    __m256i, __m512, __m512i, _CMP_GT_OQ, _CMP_UNORD_Q, _MM_HINT_T1, _mm_prefetch, _mm_sfence, _mm256_loadu_si256,
    _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512,
    _mm512_castsi256_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16, _mm512_cvtepu16_epi32,
    _mm512_div_ps, _mm512_fmadd_ps, _mm512_inserti64x4, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_mov_epi32,
    _mm512_mask_mov_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps, _mm512_max_ps,
    _mm512_mul_ps, _mm512_or_si512, _mm512_permutex2var_epi16, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_storeu_ps, _mm512_storeu_si512,
    _mm512_stream_ps, _mm512_stream_si512, _mm512_sub_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
    _mm512_unpacklo_ps,
};
use core::mem::transmute;

use half::bf16;

use super::{BLOCK, Kernel, Simd};

/// A proof that the processor has the instructions. Only [`run`] and [`super::bf16_pairs`] create it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Creates the value, for callers that are compiled with these instructions and others.
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// The orders of 16-bit words in which the lower (0) and upper (1) halves of two registers are interleaved. Words of the
/// second register are counted from 32 on.
static INTERLEAVE: [[u16; 32]; 2] = {
    let mut orders = [[0; 32]; 2];
    let mut i = 0;
    while i < 64 {
        orders[i / 32][i % 32] = (i / 2 + i % 2 * 32) as u16;
        i += 1;
    }
    orders
};

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

/// Rounds to bf16: to nearest, ties to even. NaN stays NaN.
///
/// # Safety
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn rounded(vector: __m512) -> __m256i {
    // SAFETY: the caller's contract.
    unsafe {
        let bits = _mm512_castps_si512(vector);
        // Add just less than half of the last bit, or half of it if it is odd.
        let last = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(last, _mm512_set1_epi32(0x7FFF)));
        let nan = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
        let rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(vector, vector), nan);
        _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded))
    }
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
    fn prefetch<T>(self, from: &[T], at: usize) {
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

    #[inline(always)]
    fn load_bf16(self, from: &[bf16]) -> __m512 {
        let padded;
        let from = match from.first_chunk() {
            Some(from) => from,
            None => {
                let mut all = [bf16::ZERO; Self::LANES];
                all[..from.len()].copy_from_slice(from);
                padded = all;
                &padded
            }
        };
        // SAFETY: see above; the array has 16 elements of 16 bits.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        }
    }

    #[inline(always)]
    fn store_bf16(self, vector: __m512, to: &mut [bf16]) {
        // SAFETY: see above; the array has 16 elements of 16 bits.
        let values = unsafe { transmute::<__m256i, [bf16; Self::LANES]>(rounded(vector)) };
        match to.first_chunk_mut() {
            Some(to) => *to = values,
            None => to.copy_from_slice(&values[..to.len()]),
        }
    }

    #[inline(always)]
    fn store_row_bf16(self, row: [__m512; 2], to: &mut [bf16], stream: bool) {
        if to.len() < Self::COLUMNS {
            let (first, second) = to.split_at_mut(Self::LANES.min(to.len()));
            self.store_bf16(row[0], first);
            return self.store_bf16(row[1], second);
        }
        let to = to.as_mut_ptr().cast::<__m512i>();
        // SAFETY: see above; `to` has at least the elements of a register, and is aligned where that is required.
        unsafe {
            let values = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(rounded(row[0])), rounded(row[1]));
            if stream && to.is_aligned() {
                _mm512_stream_si512(to, values);
            } else {
                _mm512_storeu_si512(to, values);
            }
        }
    }

    #[inline(always)]
    fn copy_row_bf16(self, from: &[bf16], to: &mut [bf16]) {
        let (from, to) = (&from[..Self::COLUMNS], &mut to[..Self::COLUMNS]);
        // SAFETY: see above; each slice has the size of a register.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_loadu_si512(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn interleave(self, even: &[bf16], odd: &[bf16], to: &mut [f32]) {
        let (even, odd, to) = (&even[..Self::COLUMNS], &odd[..Self::COLUMNS], &mut to[..Self::COLUMNS]);
        // SAFETY: see above; each slice of bf16 has the size of a register.
        unsafe {
            let (even, odd) = (_mm512_loadu_si512(even.as_ptr().cast()), _mm512_loadu_si512(odd.as_ptr().cast()));
            let lower = _mm512_permutex2var_epi16(even, _mm512_loadu_si512(INTERLEAVE[0].as_ptr().cast()), odd);
            let upper = _mm512_permutex2var_epi16(even, _mm512_loadu_si512(INTERLEAVE[1].as_ptr().cast()), odd);
            self.store(_mm512_castsi512_ps(lower), &mut to[..Self::LANES]);
            self.store(_mm512_castsi512_ps(upper), &mut to[Self::LANES..]);
        }
    }

    #[inline(always)]
    fn transpose_block(self, from: &[f32], pitch: usize, to: &mut [f32], to_pitch: usize) {
        let mut rows = [self.splat(0.0); BLOCK];
        for i in 0..BLOCK {
            rows[i] = self.load(&from[i * pitch..][..BLOCK]);
        }
        // Four rounds, each of which exchanges the halves of pairs of rows: elements, pairs, quarters, halves.
        // SAFETY: see above.
        unsafe {
            let mut next = rows;
            for i in 0..BLOCK / 2 {
                next[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                next[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            for i in (0..BLOCK).step_by(4) {
                for half in 0..2 {
                    let (a, b) = (_mm512_castps_pd(next[i + half]), _mm512_castps_pd(next[i + half + 2]));
                    rows[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                    rows[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
                }
            }
            for i in (0..BLOCK).step_by(8) {
                for j in 0..4 {
                    let (a, b) = (rows[i + j], rows[i + j + 4]);
                    next[i + j] = _mm512_shuffle_f32x4::<0b1000_1000>(a, b);
                    next[i + j + 4] = _mm512_shuffle_f32x4::<0b1101_1101>(a, b);
                }
            }
            for j in 0..8 {
                let (a, b) = (next[j], next[j + 8]);
                rows[j] = _mm512_shuffle_f32x4::<0b1000_1000>(a, b);
                rows[j + 8] = _mm512_shuffle_f32x4::<0b1101_1101>(a, b);
            }
        }
        for (j, row) in rows.into_iter().enumerate() {
            self.store(row, &mut to[j * to_pitch..][..BLOCK]);
        }
    }
}
