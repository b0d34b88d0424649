//! Per-channel transformations that are applied to activations and gradients while they are packed. This saves a
//! separate pass over memory. Where packing reads an operand many times and takes much of the time of a product,
//! [`Operand::write`] makes that pass.

use rayon::prelude::*;

use super::simd::{Isa, Kernel, Simd};
use super::values::{Element, Values, ValuesMut};

/// The number of pixels that one task of [`Operand::write`] processes.
const PIXELS: usize = 64;

/// A tensor, and the transformation that is applied when it is read.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// No transformation.
    Plain(Values<'a>),
    /// `relu(scale * z + shift)`: a convolution's output after its batch norm and ReLU.
    Activated {
        /// The convolution's output.
        z: Values<'a>,
        /// Per channel.
        scale: &'a [f32],
        /// Per channel.
        shift: &'a [f32],
    },
    /// `of_gradient * g + of_output * z + constant`: the gradient of a convolution's output `z`, from the gradient `g`
    /// of its batch norm's output. The module `batch_norm` explains the three coefficients.
    NormGradient {
        /// The gradient of the batch norm's output, masked by the ReLU.
        g: Values<'a>,
        /// The convolution's output.
        z: Values<'a>,
        /// Per channel.
        of_gradient: &'a [f32],
        /// Per channel.
        of_output: &'a [f32],
        /// Per channel.
        constant: &'a [f32],
    },
}

impl Operand<'_> {
    /// The number of elements of a cache line.
    pub(crate) fn per_line(&self) -> usize {
        match *self {
            Self::Plain(values) => values.per_line(),
            Self::Activated { z, .. } | Self::NormGradient { z, .. } => z.per_line(),
        }
    }

    /// Prefetches the cache line of element `at`.
    #[inline(always)]
    pub(crate) fn prefetch<S: Simd>(&self, s: S, at: usize) {
        match *self {
            Self::Plain(values) => values.prefetch(s, at),
            Self::Activated { z, .. } => z.prefetch(s, at),
            Self::NormGradient { g, z, .. } => {
                g.prefetch(s, at);
                z.prefetch(s, at);
            }
        }
    }

    /// Loads and transforms `len` elements at offset `at`, at most one register. `channel` is the channel of the first
    /// element.
    #[inline(always)]
    fn load<S: Simd>(&self, s: S, at: usize, channel: usize, len: usize) -> S::Vector {
        match *self {
            Self::Plain(values) => values.load(s, at, len),
            Self::Activated { z, scale, shift } => {
                let (scale, shift) = (s.load(&scale[channel..][..len]), s.load(&shift[channel..][..len]));
                s.relu(s.fma(scale, z.load(s, at, len), shift))
            }
            Self::NormGradient { g, z, of_gradient, of_output, constant } => {
                let constant = s.load(&constant[channel..][..len]);
                let of_output = s.fma(s.load(&of_output[channel..][..len]), z.load(s, at, len), constant);
                s.fma(s.load(&of_gradient[channel..][..len]), g.load(s, at, len), of_output)
            }
        }
    }

    /// Fills `to` with the transformed elements from offset `at` on. `channel` is the channel of the first element.
    #[inline(always)]
    pub(crate) fn copy<S: Simd, T: Element>(&self, s: S, at: usize, channel: usize, to: &mut [T]) {
        let len = to.len();
        if len < S::LANES {
            return T::store(s, self.load(s, at, channel, len), to);
        }
        let channels = channel..channel + len;
        match *self {
            Self::Plain(values) => T::copy_registers(s, values.slice(at..at + len), to),
            Self::Activated { z, scale, shift } => {
                let (scale, shift) = (&scale[channels.clone()], &shift[channels]);
                match z {
                    Values::F32(z) => copy_activated(s, &z[at..][..len], scale, shift, to),
                    Values::Bf16(z) => copy_activated(s, &z[at..][..len], scale, shift, to),
                }
            }
            Self::NormGradient { g, z, of_gradient, of_output, constant } => {
                let factors = [&of_gradient[channels.clone()], &of_output[channels.clone()], &constant[channels]];
                match (g, z) {
                    (Values::F32(g), Values::F32(z)) => copy_gradient(s, &g[at..][..len], &z[at..][..len], factors, to),
                    (Values::Bf16(g), Values::Bf16(z)) => {
                        copy_gradient(s, &g[at..][..len], &z[at..][..len], factors, to);
                    }
                    // No network mixes the types of these two. This is correct, and slower.
                    _ => {
                        for (i, to) in to.chunks_exact_mut(S::LANES).enumerate() {
                            let i = i * S::LANES;
                            T::store(s, self.load(s, at + i, channel + i, S::LANES), to);
                        }
                    }
                }
            }
        }
        if !len.is_multiple_of(S::LANES) {
            // The last register overlaps the previous one. Loading a partial register would be much slower.
            let last = len - S::LANES;
            T::store(s, self.load(s, at + last, channel + last, S::LANES), &mut to[last..]);
        }
    }
}

impl Operand<'_> {
    /// Writes the transformed elements to `to`, `[pixels, channels]`.
    pub fn write(&self, isa: Isa, channels: usize, to: ValuesMut<'_>) {
        to.chunks_mut(PIXELS * channels).into_par_iter().enumerate().for_each(|(task, to)| {
            isa.run(WritePixels { operand: self, channels, first: task * PIXELS * channels, to });
        });
    }
}

/// Writes the pixels of one task.
struct WritePixels<'a> {
    operand: &'a Operand<'a>,
    channels: usize,
    /// The offset of the first element.
    first: usize,
    to: ValuesMut<'a>,
}

impl Kernel for WritePixels<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { operand, channels, first, to } = self;
        match to {
            ValuesMut::F32(to) => write_pixels(s, operand, channels, first, to),
            ValuesMut::Bf16(to) => write_pixels(s, operand, channels, first, to),
        }
    }
}

#[inline(always)]
fn write_pixels<S: Simd, T: Element>(s: S, operand: &Operand<'_>, channels: usize, first: usize, to: &mut [T]) {
    for (pixel, to) in to.chunks_exact_mut(channels).enumerate() {
        operand.copy(s, first + pixel * channels, 0, to);
    }
}

// The formulas of `Operand::load` for whole registers, without its bounds checks for each register, because packing takes
// a tenth of the time of a product. They use no closures and no array methods, because their code is not compiled with
// the instruction set of `S`.

#[inline(always)]
fn copy_activated<S: Simd, E: Element, T: Element>(s: S, z: &[E], scale: &[f32], shift: &[f32], to: &mut [T]) {
    let rows = to.len() / S::COLUMNS * S::COLUMNS;
    let coefficients = scale.chunks_exact(S::COLUMNS).zip(shift.chunks_exact(S::COLUMNS));
    let values = z.chunks_exact(S::COLUMNS).zip(coefficients);
    for (to, (z, (scale, shift))) in to.chunks_exact_mut(S::COLUMNS).zip(values) {
        let first = s.fma(s.load(scale), E::load(s, z), s.load(shift));
        let second = s.fma(s.load(&scale[S::LANES..]), E::load(s, &z[S::LANES..]), s.load(&shift[S::LANES..]));
        T::store_row(s, [s.relu(first), s.relu(second)], to);
    }
    if to.len() - rows >= S::LANES {
        let value = s.fma(s.load(&scale[rows..]), E::load(s, &z[rows..]), s.load(&shift[rows..]));
        T::store(s, s.relu(value), &mut to[rows..rows + S::LANES]);
    }
}

/// `factors` are the coefficients of `g`, of `z`, and the constants.
#[inline(always)]
fn copy_gradient<S: Simd, E: Element, T: Element>(s: S, g: &[E], z: &[E], factors: [&[f32]; 3], to: &mut [T]) {
    let [a, b, c] = factors;
    let rows = to.len() / S::COLUMNS * S::COLUMNS;
    let tensors = g.chunks_exact(S::COLUMNS).zip(z.chunks_exact(S::COLUMNS));
    let coefficients = a.chunks_exact(S::COLUMNS).zip(b.chunks_exact(S::COLUMNS)).zip(c.chunks_exact(S::COLUMNS));
    for ((to, (g, z)), ((a, b), c)) in to.chunks_exact_mut(S::COLUMNS).zip(tensors).zip(coefficients) {
        let first = s.fma(s.load(b), E::load(s, z), s.load(c));
        let second = s.fma(s.load(&b[S::LANES..]), E::load(s, &z[S::LANES..]), s.load(&c[S::LANES..]));
        let first = s.fma(s.load(a), E::load(s, g), first);
        let second = s.fma(s.load(&a[S::LANES..]), E::load(s, &g[S::LANES..]), second);
        T::store_row(s, [first, second], to);
    }
    if to.len() - rows >= S::LANES {
        let value = s.fma(s.load(&b[rows..]), E::load(s, &z[rows..]), s.load(&c[rows..]));
        T::store(s, s.fma(s.load(&a[rows..]), E::load(s, &g[rows..]), value), &mut to[rows..rows + S::LANES]);
    }
}
