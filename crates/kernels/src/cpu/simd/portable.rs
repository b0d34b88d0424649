//! The portable implementation: arrays of four floats, which the compiler maps to SSE2 or NEON registers.

use super::{Simd, padded};

/// Portable SIMD, which needs no instructions beyond the baseline of the target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable(());

impl Portable {
    /// Creates the value. Every processor has the baseline, so nothing is checked.
    pub(crate) fn new() -> Self {
        Self(())
    }
}

type Four = [f32; 4];

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> Four {
    [f(0), f(1), f(2), f(3)]
}

impl Simd for Portable {
    type Vector = Four;
    const LANES: usize = 4;
    // 12 accumulators: 15 of SSE2's 16 registers.
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> Four {
        [x; 4]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> Four {
        from.first_chunk().copied().unwrap_or_else(|| padded(from))
    }

    #[inline(always)]
    fn store(self, vector: Four, to: &mut [f32]) {
        let len = to.len();
        match to.first_chunk_mut() {
            Some(to) => *to = vector,
            None => to.copy_from_slice(&vector[..len]),
        }
    }

    #[inline(always)]
    fn stream(self, vector: Four, to: &mut [f32]) {
        self.store(vector, to);
    }

    #[inline(always)]
    fn prefetch<T>(self, _from: &[T], _at: usize) {}

    #[inline(always)]
    fn add(self, a: Four, b: Four) -> Four {
        each(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Four, b: Four) -> Four {
        each(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Four, b: Four) -> Four {
        each(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn fma(self, a: Four, b: Four, c: Four) -> Four {
        // On targets whose baseline has no such instruction, `mul_add` calls the C library.
        each(|i| if cfg!(target_arch = "aarch64") { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] })
    }

    #[inline(always)]
    fn div(self, a: Four, b: Four) -> Four {
        each(|i| a[i] / b[i])
    }

    #[inline(always)]
    fn relu(self, a: Four) -> Four {
        each(|i| if 0.0 > a[i] { 0.0 } else { a[i] })
    }

    #[inline(always)]
    fn mask_positive(self, test: Four, value: Four) -> Four {
        each(|i| if test[i] > 0.0 { value[i] } else { 0.0 })
    }

    #[inline(always)]
    fn select_greater(self, a: Four, b: Four, x: Four, y: Four) -> Four {
        each(|i| if a[i] > b[i] || a[i].is_nan() { x[i] } else { y[i] })
    }
}
