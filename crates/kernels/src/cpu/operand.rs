//! Per-channel transformations that are applied to activations and gradients while they are packed. This saves a
//! separate pass over memory.

use super::simd::Simd;

/// A tensor, and the transformation that is applied when it is read.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// No transformation.
    Plain(&'a [f32]),
    /// `relu(scale * z + shift)`: a convolution's output after its batch norm and ReLU.
    Activated {
        /// The convolution's output.
        z: &'a [f32],
        /// Per channel.
        scale: &'a [f32],
        /// Per channel.
        shift: &'a [f32],
    },
    /// `of_gradient * g + of_output * z + constant`: the gradient of a convolution's output `z`, from the gradient `g`
    /// of its batch norm's output. The module `batch_norm` explains the three coefficients.
    NormGradient {
        /// The gradient of the batch norm's output, masked by the ReLU.
        g: &'a [f32],
        /// The convolution's output.
        z: &'a [f32],
        /// Per channel.
        of_gradient: &'a [f32],
        /// Per channel.
        of_output: &'a [f32],
        /// Per channel.
        constant: &'a [f32],
    },
}

impl Operand<'_> {
    /// Prefetches the cache line of element `at`.
    #[inline(always)]
    pub(crate) fn prefetch<S: Simd>(&self, s: S, at: usize) {
        match *self {
            Self::Plain(values) => s.prefetch(values, at),
            Self::Activated { z, .. } => s.prefetch(z, at),
            Self::NormGradient { g, z, .. } => {
                s.prefetch(g, at);
                s.prefetch(z, at);
            }
        }
    }

    /// Loads and transforms `len` elements at offset `at`, at most one register. `channel` is the channel of the first
    /// element.
    #[inline(always)]
    fn load<S: Simd>(&self, s: S, at: usize, channel: usize, len: usize) -> S::Vector {
        match *self {
            Self::Plain(values) => s.load(&values[at..][..len]),
            Self::Activated { z, scale, shift } => {
                let (scale, shift) = (s.load(&scale[channel..][..len]), s.load(&shift[channel..][..len]));
                s.relu(s.fma(scale, s.load(&z[at..][..len]), shift))
            }
            Self::NormGradient { g, z, of_gradient, of_output, constant } => {
                let constant = s.load(&constant[channel..][..len]);
                let of_output = s.fma(s.load(&of_output[channel..][..len]), s.load(&z[at..][..len]), constant);
                s.fma(s.load(&of_gradient[channel..][..len]), s.load(&g[at..][..len]), of_output)
            }
        }
    }

    /// Fills `to` with the transformed elements from offset `at` on. `channel` is the channel of the first element.
    #[inline(always)]
    pub(crate) fn copy<S: Simd>(&self, s: S, at: usize, channel: usize, to: &mut [f32]) {
        let len = to.len();
        if len < S::LANES {
            return s.store(self.load(s, at, channel, len), to);
        }
        // The formulas of `load` are repeated here to avoid its bounds checks for each register, because packing takes
        // a tenth of the time of a product. This code uses no closures and no array methods, because their code is not
        // compiled with the instruction set of `S`.
        match *self {
            Self::Plain(values) => {
                let values = values[at..][..len].chunks_exact(S::LANES);
                for (to, value) in to.chunks_exact_mut(S::LANES).zip(values) {
                    s.store(s.load(value), to);
                }
            }
            Self::Activated { z, scale, shift } => {
                let (z, scale, shift) = (&z[at..][..len], &scale[channel..][..len], &shift[channel..][..len]);
                let coefficients = scale.chunks_exact(S::LANES).zip(shift.chunks_exact(S::LANES));
                let values = z.chunks_exact(S::LANES).zip(coefficients);
                for (to, (z, (scale, shift))) in to.chunks_exact_mut(S::LANES).zip(values) {
                    s.store(s.relu(s.fma(s.load(scale), s.load(z), s.load(shift))), to);
                }
            }
            Self::NormGradient { g, z, of_gradient, of_output, constant } => {
                let (g, z) = (&g[at..][..len], &z[at..][..len]);
                let (a, b) = (&of_gradient[channel..][..len], &of_output[channel..][..len]);
                let c = &constant[channel..][..len];
                let tensors = g.chunks_exact(S::LANES).zip(z.chunks_exact(S::LANES));
                let coefficients = a.chunks_exact(S::LANES).zip(b.chunks_exact(S::LANES)).zip(c.chunks_exact(S::LANES));
                for ((to, (g, z)), ((a, b), c)) in to.chunks_exact_mut(S::LANES).zip(tensors).zip(coefficients) {
                    s.store(s.fma(s.load(a), s.load(g), s.fma(s.load(b), s.load(z), s.load(c))), to);
                }
            }
        }
        if !len.is_multiple_of(S::LANES) {
            // The last register overlaps the previous one. Loading a partial register would be much slower.
            let last = len - S::LANES;
            s.store(self.load(s, at + last, channel + last, S::LANES), &mut to[last..]);
        }
    }
}
