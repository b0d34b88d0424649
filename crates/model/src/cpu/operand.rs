//! What is applied to activations and gradients while they are packed, instead of in passes of their own.

use super::simd::Simd;

/// A tensor that is read with a transformation per channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand<'a> {
    /// As it is.
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
    /// `of_gradient * g + of_output * z + constant`: the gradient of a convolution's output `z`, from the gradient `g` of
    /// its batch norm's output. See [`super::norm`] for the three coefficients.
    NormGradient {
        /// Gradient of the batch norm's output, after the ReLU's mask.
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
    /// Asks for the line that element `at` is in.
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

    /// Fills `to` from the elements at `at`, whose first channel is `channel`.
    #[inline(always)]
    pub(crate) fn copy<S: Simd>(&self, s: S, at: usize, channel: usize, to: &mut [f32]) {
        let len = to.len();
        // No closures or array adapters here: what they call would not be compiled with the instructions of `S`.
        match *self {
            Self::Plain(values) => {
                let values = &values[at..][..len];
                for (to, value) in to.chunks_mut(S::LANES).zip(values.chunks(S::LANES)) {
                    s.store(s.load(value), to);
                }
            }
            Self::Activated { z, scale, shift } => {
                let (z, scale, shift) = (&z[at..][..len], &scale[channel..][..len], &shift[channel..][..len]);
                let coefficients = scale.chunks(S::LANES).zip(shift.chunks(S::LANES));
                for ((to, z), (scale, shift)) in to.chunks_mut(S::LANES).zip(z.chunks(S::LANES)).zip(coefficients) {
                    s.store(s.relu(s.fma(s.load(scale), s.load(z), s.load(shift))), to);
                }
            }
            Self::NormGradient { g, z, of_gradient, of_output, constant } => {
                let (g, z) = (&g[at..][..len], &z[at..][..len]);
                let (a, b) = (&of_gradient[channel..][..len], &of_output[channel..][..len]);
                let c = &constant[channel..][..len];
                let tensors = g.chunks(S::LANES).zip(z.chunks(S::LANES));
                let coefficients = a.chunks(S::LANES).zip(b.chunks(S::LANES)).zip(c.chunks(S::LANES));
                for ((to, (g, z)), ((a, b), c)) in to.chunks_mut(S::LANES).zip(tensors).zip(coefficients) {
                    s.store(s.fma(s.load(a), s.load(g), s.fma(s.load(b), s.load(z), s.load(c))), to);
                }
            }
        }
    }
}
