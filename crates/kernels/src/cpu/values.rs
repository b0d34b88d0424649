//! The elements of a tensor, stored as f32 or as bf16. Kernels compute with f32 registers: they convert when they load
//! and store. Activations and gradients in bf16 take half of the memory, and half of the time to read and write.

use std::ops::Range;

use half::bf16;

use super::buffer::Buffer;
use super::element_type::ElementType;
use super::simd::Simd;
use crate::error::Result;

/// The number of bytes of a cache line.
const LINE: usize = 64;

/// The elements of a tensor.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Elements of 32 bits.
    F32(&'a [f32]),
    /// Elements of 16 bits.
    Bf16(&'a [bf16]),
}

/// The elements of a tensor, for writing.
#[derive(Debug)]
pub enum ValuesMut<'a> {
    /// Elements of 32 bits.
    F32(&'a mut [f32]),
    /// Elements of 16 bits.
    Bf16(&'a mut [bf16]),
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Values<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a mut [f32]> for ValuesMut<'a> {
    fn from(values: &'a mut [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a mut Vec<f32>> for ValuesMut<'a> {
    fn from(values: &'a mut Vec<f32>) -> Self {
        Self::F32(values)
    }
}

/// Evaluates an expression for the slice of either type.
macro_rules! with_slice {
    ($values:expr, $type:ident, $slice:ident => $value:expr) => {
        match $values {
            $type::F32($slice) => $value,
            $type::Bf16($slice) => $value,
        }
    };
}

impl<'a> Values<'a> {
    /// The number of elements.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nothing asks whether a tensor is empty")]
    pub fn len(self) -> usize {
        with_slice!(self, Self, values => values.len())
    }

    /// Returns the elements `range`.
    #[inline(always)]
    #[must_use]
    pub fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[range]),
            Self::Bf16(values) => Self::Bf16(&values[range]),
        }
    }

    /// Returns the elements as f32.
    #[must_use]
    pub fn to_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values.to_vec(),
            Self::Bf16(values) => values.iter().map(|value| value.to_f32()).collect(),
        }
    }

    /// Returns the elements `range` as f32. `buffer` holds them if they have to be converted.
    #[inline(always)]
    pub(crate) fn in_f32<'b, S: Simd>(self, s: S, range: Range<usize>, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::F32(values) => &values[range],
            Self::Bf16(values) => {
                buffer.resize(range.len(), 0.0);
                for (to, from) in buffer.chunks_mut(S::LANES).zip(values[range].chunks(S::LANES)) {
                    s.store(s.load_bf16(from), to);
                }
                buffer
            }
        }
    }

    /// Returns the elements in parts of `len` elements. The last may be shorter.
    pub(crate) fn chunks(self, len: usize) -> Vec<Self> {
        match self {
            Self::F32(values) => values.chunks(len).map(Self::F32).collect(),
            Self::Bf16(values) => values.chunks(len).map(Self::Bf16).collect(),
        }
    }

    /// Loads `len` elements from `at` on, at most one register.
    #[inline(always)]
    pub(crate) fn load<S: Simd>(self, s: S, at: usize, len: usize) -> S::Vector {
        match self {
            Self::F32(values) => s.load(&values[at..][..len]),
            Self::Bf16(values) => s.load_bf16(&values[at..][..len]),
        }
    }

    /// Prefetches the cache line of the element `at`, which may be out of bounds.
    #[inline(always)]
    pub(crate) fn prefetch<S: Simd>(self, s: S, at: usize) {
        with_slice!(self, Self, values => s.prefetch(values, at));
    }

    /// The number of elements of a cache line.
    #[inline(always)]
    pub(crate) fn per_line(self) -> usize {
        match self {
            Self::F32(_) => LINE / size_of::<f32>(),
            Self::Bf16(_) => LINE / size_of::<bf16>(),
        }
    }

    /// The number of bytes of the elements.
    pub(crate) fn bytes(self) -> usize {
        with_slice!(self, Self, values => size_of_val(values))
    }
}

impl<'a> ValuesMut<'a> {
    /// The same elements, for reading.
    #[inline(always)]
    #[must_use]
    pub fn as_values(&self) -> Values<'_> {
        match self {
            Self::F32(values) => Values::F32(values),
            Self::Bf16(values) => Values::Bf16(values),
        }
    }

    /// Returns the elements `range`.
    #[inline(always)]
    #[must_use]
    pub fn slice_mut(&mut self, range: Range<usize>) -> ValuesMut<'_> {
        match self {
            Self::F32(values) => ValuesMut::F32(&mut values[range]),
            Self::Bf16(values) => ValuesMut::Bf16(&mut values[range]),
        }
    }

    /// Returns all elements, so that `self` can be used again.
    #[inline(always)]
    #[must_use]
    pub fn reborrow(&mut self) -> ValuesMut<'_> {
        match self {
            Self::F32(values) => ValuesMut::F32(values),
            Self::Bf16(values) => ValuesMut::Bf16(values),
        }
    }

    /// Splits the elements at `at`.
    pub(crate) fn split_at_mut(self, at: usize) -> (Self, Self) {
        match self {
            Self::F32(values) => {
                let (first, second) = values.split_at_mut(at);
                (Self::F32(first), Self::F32(second))
            }
            Self::Bf16(values) => {
                let (first, second) = values.split_at_mut(at);
                (Self::Bf16(first), Self::Bf16(second))
            }
        }
    }

    /// Returns the elements in parts of `len` elements. The last may be shorter.
    pub(crate) fn chunks_mut(self, len: usize) -> Vec<Self> {
        match self {
            Self::F32(values) => values.chunks_mut(len).map(Self::F32).collect(),
            Self::Bf16(values) => values.chunks_mut(len).map(Self::Bf16).collect(),
        }
    }

    /// Stores the first lanes of a register, as many as there are elements.
    #[inline(always)]
    pub(crate) fn store<S: Simd>(self, s: S, vector: S::Vector) {
        match self {
            Self::F32(to) => s.store(vector, to),
            Self::Bf16(to) => s.store_bf16(vector, to),
        }
    }

    /// Stores a row of two registers. With `stream`, it bypasses the caches where the instruction set can do that.
    #[inline(always)]
    pub(crate) fn store_row<S: Simd>(self, s: S, row: [S::Vector; 2], stream: bool) {
        match self {
            Self::F32(to) => {
                let (first, second) = to.split_at_mut(S::LANES.min(to.len()));
                if stream {
                    s.stream(row[0], first);
                    s.stream(row[1], second);
                } else {
                    s.store(row[0], first);
                    s.store(row[1], second);
                }
            }
            Self::Bf16(to) => s.store_row_bf16(row, to, stream),
        }
    }

    /// Returns memory for the elements as f32: `buffer`, if they have to be converted. [`ValuesMut::finish_f32`] converts
    /// them.
    #[inline(always)]
    pub(crate) fn start_f32<'b>(&'b mut self, buffer: &'b mut Vec<f32>) -> &'b mut [f32] {
        match self {
            Self::F32(to) => to,
            Self::Bf16(to) => {
                buffer.resize(to.len(), 0.0);
                buffer
            }
        }
    }

    /// Converts the elements that were written to the memory from [`ValuesMut::start_f32`].
    #[inline(always)]
    pub(crate) fn finish_f32<S: Simd>(self, s: S, buffer: &[f32]) {
        if let Self::Bf16(to) = self {
            for (to, from) in to.chunks_mut(S::LANES).zip(buffer.chunks(S::LANES)) {
                s.store_bf16(s.load(from), to);
            }
        }
    }
}

/// An element of a tensor, for kernels that read one type and write another one.
pub(crate) trait Element: Copy + Default {
    /// Loads the first `LANES` elements of `from`. If there are fewer, the other lanes are zero.
    fn load<S: Simd>(s: S, from: &[Self]) -> S::Vector;
    /// Stores the first lanes to `to`, as many as fit.
    fn store<S: Simd>(s: S, vector: S::Vector, to: &mut [Self]);
    /// Stores a row of two registers.
    fn store_row<S: Simd>(s: S, row: [S::Vector; 2], to: &mut [Self]);
    /// Copies the whole registers that fit in `to`. The caller copies the rest.
    fn copy_registers<S: Simd>(s: S, from: Values<'_>, to: &mut [Self]);
}

impl Element for f32 {
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[Self]) -> S::Vector {
        s.load(from)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, vector: S::Vector, to: &mut [Self]) {
        s.store(vector, to);
    }

    #[inline(always)]
    fn store_row<S: Simd>(s: S, row: [S::Vector; 2], to: &mut [Self]) {
        s.store(row[0], &mut to[..S::LANES]);
        s.store(row[1], &mut to[S::LANES..]);
    }

    #[inline(always)]
    fn copy_registers<S: Simd>(s: S, from: Values<'_>, to: &mut [Self]) {
        match from {
            // Not `copy_from_slice`: a call costs more than the few registers that are copied.
            Values::F32(from) => {
                for (to, from) in to.chunks_exact_mut(S::LANES).zip(from.chunks_exact(S::LANES)) {
                    s.store(s.load(from), to);
                }
            }
            Values::Bf16(from) => {
                for (to, from) in to.chunks_exact_mut(S::LANES).zip(from.chunks_exact(S::LANES)) {
                    s.store(s.load_bf16(from), to);
                }
            }
        }
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[Self]) -> S::Vector {
        s.load_bf16(from)
    }

    #[inline(always)]
    fn store<S: Simd>(s: S, vector: S::Vector, to: &mut [Self]) {
        s.store_bf16(vector, to);
    }

    #[inline(always)]
    fn store_row<S: Simd>(s: S, row: [S::Vector; 2], to: &mut [Self]) {
        s.store_row_bf16(row, to, false);
    }

    #[inline(always)]
    fn copy_registers<S: Simd>(s: S, from: Values<'_>, to: &mut [Self]) {
        match from {
            Values::F32(from) => {
                for (to, from) in to.chunks_exact_mut(S::LANES).zip(from.chunks_exact(S::LANES)) {
                    s.store_bf16(s.load(from), to);
                }
            }
            Values::Bf16(from) => {
                let (to_rows, to_rest) = to.split_at_mut(to.len() / S::COLUMNS * S::COLUMNS);
                let (rows, rest) = from.split_at(to_rows.len());
                for (to, from) in to_rows.chunks_exact_mut(S::COLUMNS).zip(rows.chunks_exact(S::COLUMNS)) {
                    s.copy_row_bf16(from, to);
                }
                if to_rest.len() >= S::LANES {
                    s.store_bf16(s.load_bf16(&rest[..S::LANES]), &mut to_rest[..S::LANES]);
                }
            }
        }
    }
}

/// A large tensor, initially zero. Like a [`Buffer`], its memory is page-aligned.
#[derive(Debug)]
pub struct Tensor {
    buffer: Buffer,
    element_type: ElementType,
    len: usize,
}

impl Tensor {
    /// Allocates a tensor of `len` zeros.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] if the system cannot provide the memory.
    pub fn zeros(len: usize, element_type: ElementType) -> Result<Self> {
        let words = match element_type {
            ElementType::F32 => len,
            ElementType::Bf16 => len.div_ceil(2),
        };
        Ok(Self { buffer: Buffer::zeros(words)?, element_type, len })
    }

    /// The elements.
    #[must_use]
    pub fn values(&self) -> Values<'_> {
        match self.element_type {
            ElementType::F32 => Values::F32(self.buffer.slice()),
            ElementType::Bf16 => Values::Bf16(&bytemuck::cast_slice(self.buffer.slice())[..self.len]),
        }
    }

    /// The elements, for writing.
    pub fn values_mut(&mut self) -> ValuesMut<'_> {
        match self.element_type {
            ElementType::F32 => ValuesMut::F32(self.buffer.slice_mut()),
            ElementType::Bf16 => ValuesMut::Bf16(&mut bytemuck::cast_slice_mut(self.buffer.slice_mut())[..self.len]),
        }
    }
}
