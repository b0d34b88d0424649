//! SIMD instruction sets, detected at run time, so that one binary runs on every processor.
//!
//! The kernels are generic over [`Simd`]. A value of such a type is a proof that the processor has the instructions:
//! only [`Isa::run`] creates one, inside of a function that is compiled with them. Code that is inlined there is
//! compiled with the instructions, too. An [`Isa`] is a proof as well: only this file creates one, after checking the
//! processor.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bf16_pairs;
mod delegate;
#[cfg(test)]
mod matrix_reference;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use amx::AmxBf16;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) use bf16_pairs::Avx512Bf16;
#[cfg(any(test, feature = "portable-bf16"))]
pub(crate) use bf16_pairs::PortableBf16;
#[cfg(test)]
pub(crate) use matrix_reference::PortableMatrix;
pub(crate) use portable::Portable;

use half::bf16;

use super::element_type::ElementType;

/// A set of vector instructions for `f32`. All methods must be `#[inline(always)]`.
pub trait Simd: Copy {
    /// A register.
    type Vector: Copy;
    /// The number of elements of a register.
    const LANES: usize;
    /// The number of rows of a register tile: as many as fit, with two registers left for the right operand and one for
    /// the broadcast left operand. A matrix unit has its own registers.
    const ROWS: usize;
    /// The number of columns of a register tile: two registers.
    const COLUMNS: usize = 2 * Self::LANES;
    /// The number of steps of the depth in one element of a packed operand: two for pairs of bf16, or else one.
    const STEPS: usize = 1;
    /// The packed depth is a multiple of this number of elements. The packing functions add zeros.
    const DEPTH_MULTIPLE: usize = 1;
    /// Whether [`Simd::multiply_tile`] computes register tiles. Its left operand is packed row by row.
    const MATRIX_UNIT: bool = false;
    /// Whether [`Simd::stream`] uses non-temporal stores.
    const STREAMS: bool = false;

    /// A register with `x` in all lanes.
    fn splat(self, x: f32) -> Self::Vector;
    /// Loads the first `LANES` elements of `from`. If there are fewer, the other lanes are zero.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// Stores the first lanes to `to`, as many as fit.
    fn store(self, vector: Self::Vector, to: &mut [f32]);
    /// Like [`Simd::store`], but non-temporally (bypassing the caches) if `to` is a whole cache line: for data that are
    /// not read soon. The store is visible to other threads at the end of [`Isa::run`].
    fn stream(self, vector: Self::Vector, to: &mut [f32]);
    /// Prefetches the cache line of `from[at]`, which may be out of bounds.
    fn prefetch<T>(self, from: &[T], at: usize);
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once if the processor has such an instruction.
    fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a / b`.
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * 2^n` in each lane, where `n` is the integer in the lowest bits of `t`: `t` is `n + 1.5 * 2^23`. `a` and the
    /// result must be normal numbers. This default implementation is portable.
    #[inline(always)]
    fn scale_by_power_of_two(self, a: Self::Vector, t: Self::Vector) -> Self::Vector {
        let (mut values, mut powers) = ([0.0_f32; MAX_LANES], [0.0_f32; MAX_LANES]);
        self.store(a, &mut values[..Self::LANES]);
        self.store(t, &mut powers[..Self::LANES]);
        for (value, t) in values.iter_mut().zip(powers) {
            *value = f32::from_bits(value.to_bits().wrapping_add(t.to_bits() << 23));
        }
        self.load(&values[..Self::LANES])
    }
    /// `max(a, 0)`. NaN stays NaN, so that the divergence of a network is not hidden.
    fn relu(self, a: Self::Vector) -> Self::Vector;
    /// `value` in lanes where `test` is positive, zero in others.
    fn mask_positive(self, test: Self::Vector, value: Self::Vector) -> Self::Vector;
    /// `x` in lanes where `a` is greater than `b` or NaN, `y` in others.
    fn select_greater(self, a: Self::Vector, b: Self::Vector, x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// Multiplies packed operands and adds the products of all their steps to `c`, lane by lane.
    #[inline(always)]
    fn accumulate(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.fma(a, b, c)
    }
    /// Converts two registers to bf16 and pairs the elements of the same lane. This default implementation is portable.
    #[inline(always)]
    fn pair(self, even: Self::Vector, odd: Self::Vector) -> Self::Vector {
        let (mut pairs, mut later) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
        self.store(even, &mut pairs[..Self::LANES]);
        self.store(odd, &mut later[..Self::LANES]);
        for (even, odd) in pairs.iter_mut().zip(later) {
            *even = bf16_pairs::pair(*even, odd);
        }
        self.load(&pairs[..Self::LANES])
    }
    /// Loads the first `LANES` elements of `from`. If there are fewer, the other lanes are zero. This default
    /// implementation is portable.
    #[inline(always)]
    fn load_bf16(self, from: &[bf16]) -> Self::Vector {
        let mut all = [0.0; MAX_LANES];
        for (to, from) in all[..Self::LANES].iter_mut().zip(from) {
            *to = f32::from_bits(u32::from(from.to_bits()) << 16);
        }
        self.load(&all[..Self::LANES])
    }
    /// Rounds the first lanes to bf16 and stores them to `to`, as many as fit. This default implementation is portable.
    #[inline(always)]
    fn store_bf16(self, vector: Self::Vector, to: &mut [bf16]) {
        let mut all = [0.0; MAX_LANES];
        self.store(vector, &mut all[..Self::LANES]);
        for (to, from) in to.iter_mut().zip(&all[..Self::LANES]) {
            *to = bf16::from_f32(*from);
        }
    }
    /// Rounds a row of two registers to bf16 and stores it to `to`, as much as fits. With `stream`, it is stored
    /// non-temporally, see [`Simd::stream`].
    #[inline(always)]
    fn store_row_bf16(self, row: [Self::Vector; 2], to: &mut [bf16], _stream: bool) {
        let (first, second) = to.split_at_mut(Self::LANES.min(to.len()));
        self.store_bf16(row[0], first);
        self.store_bf16(row[1], second);
    }
    /// Computes a register tile with a matrix unit, if [`Simd::MATRIX_UNIT`]: `c[i, j] = sum over k of a[i, k] * b[k, j]`,
    /// plus the old `c[i, j]` if `accumulate`. The rows of `a` are `pitch` elements apart. `b` is `[depth, COLUMNS]` and
    /// `c` `[ROWS, COLUMNS]`. The depth is a multiple of [`Simd::DEPTH_MULTIPLE`].
    ///
    /// `a` has [`Simd::ROWS`] rows, even if `rows` is smaller. The rows of `c` from `rows` on receive arbitrary values.
    #[inline(always)]
    fn multiply_tile(self, rows: usize, _a: &[f32], _pitch: usize, _b: &[f32], _c: &mut [f32], _accumulate: bool) {
        unreachable!("an instruction set without a matrix unit cannot compute {rows} rows with it");
    }
    /// Copies a row of `COLUMNS` elements. It is faster than a call of `memcpy`. This default implementation is portable.
    #[inline(always)]
    fn copy_row_bf16(self, from: &[bf16], to: &mut [bf16]) {
        to[..Self::COLUMNS].copy_from_slice(&from[..Self::COLUMNS]);
    }
    /// Pairs the first `COLUMNS` elements of `even` and `odd`: `to[i]` has the bits of `even[i]` and `odd[i]`. This default
    /// implementation is portable.
    #[inline(always)]
    fn interleave(self, even: &[bf16], odd: &[bf16], to: &mut [f32]) {
        for (to, (even, odd)) in to[..Self::COLUMNS].iter_mut().zip(even.iter().zip(odd)) {
            *to = f32::from_bits(u32::from(odd.to_bits()) << 16 | u32::from(even.to_bits()));
        }
    }
    /// Transposes a block of [`BLOCK`] x [`BLOCK`] elements: `to[j * to_pitch + i] = from[i * pitch + j]`. This default
    /// implementation is portable.
    #[inline(always)]
    fn transpose_block(self, from: &[f32], pitch: usize, to: &mut [f32], to_pitch: usize) {
        for i in 0..BLOCK {
            for j in 0..BLOCK {
                to[j * to_pitch + i] = from[i * pitch + j];
            }
        }
    }
}

/// The side of a block that [`Simd::transpose_block`] transposes.
pub(crate) const BLOCK: usize = 16;
/// The number of elements of the widest register.
pub(crate) const MAX_LANES: usize = 16;
/// The number of columns of the widest register tile.
pub(crate) const MAX_WIDTH: usize = 2 * MAX_LANES;

/// Code that is compiled for each instruction set.
pub(crate) trait Kernel {
    /// Runs the code. Must be `#[inline(always)]`, or else it is compiled without the instructions. It neither starts tasks
    /// nor runs another kernel, which would change the configuration of a matrix unit.
    fn run<S: Simd>(self, simd: S);
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Set);

/// The supported instruction sets. Of those that multiply the same type, the fastest is last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// The baseline of the target: SSE2 or NEON.
    Portable,
    /// AVX2 and FMA: registers of 256 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL: registers of 512 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512 with instructions that multiply bf16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// AVX-512 with a matrix unit that multiplies bf16.
    #[cfg(target_arch = "x86_64")]
    AmxBf16,
    /// The baseline of the target with emulated bf16 multiplication: a reference for tests, too slow for anything else.
    #[cfg(any(test, feature = "portable-bf16"))]
    PortableBf16,
    /// The same with an emulated matrix unit.
    #[cfg(test)]
    PortableMatrix,
}

/// Evaluates an expression in which `$S` is the type of the set, for each set.
macro_rules! with_type_of {
    ($set:expr, $S:ident => $value:expr) => {
        match $set {
            Set::Portable => with_type_of!(@ Portable, $S => $value),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => with_type_of!(@ Avx2, $S => $value),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => with_type_of!(@ Avx512, $S => $value),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => with_type_of!(@ Avx512Bf16, $S => $value),
            #[cfg(target_arch = "x86_64")]
            Set::AmxBf16 => with_type_of!(@ AmxBf16, $S => $value),
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => with_type_of!(@ PortableBf16, $S => $value),
            #[cfg(test)]
            Set::PortableMatrix => with_type_of!(@ PortableMatrix, $S => $value),
        }
    };
    (@ $type:ident, $S:ident => $value:expr) => {{
        type $S = $type;
        $value
    }};
}

impl Isa {
    /// Returns the fastest instruction set of this processor that multiplies f32.
    #[must_use]
    pub fn detect() -> Self {
        *Self::available().last().unwrap_or(&Self(Set::Portable))
    }

    /// Returns all instruction sets of this processor that multiply f32, fastest last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let mut found = vec![Self(Set::Portable)];
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Self(Set::Avx2));
                let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
                if avx512 && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl") {
                    found.push(Self(Set::Avx512));
                }
            }
            found
        }
        #[cfg(not(target_arch = "x86_64"))]
        vec![Self(Set::Portable)]
    }

    /// Returns the fastest instruction set of this processor that multiplies bf16, if it has one.
    #[must_use]
    pub fn detect_bf16() -> Option<Self> {
        Self::available_bf16().last().copied()
    }

    /// Returns all instruction sets of this processor that multiply bf16, fastest last.
    #[must_use]
    pub fn available_bf16() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        if Self::detect() == Self(Set::Avx512) && is_x86_feature_detected!("avx512bf16") {
            let matrix_unit = amx::is_available().then_some(Self(Set::AmxBf16));
            return std::iter::once(Self(Set::Avx512Bf16)).chain(matrix_unit).collect();
        }
        Vec::new()
    }

    /// Returns all instruction sets that multiply bf16, including the emulated references.
    #[cfg(any(test, feature = "portable-bf16"))]
    #[must_use]
    pub fn with_bf16() -> Vec<Self> {
        let emulated = [
            Self(Set::PortableBf16),
            #[cfg(test)]
            Self(Set::PortableMatrix),
        ];
        emulated.into_iter().chain(Self::available_bf16()).collect()
    }

    /// Returns the same instruction set with f32 multiplication.
    #[must_use]
    pub fn in_f32(self) -> Self {
        Self(match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 | Set::AmxBf16 => Set::Avx512,
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => Set::Portable,
            #[cfg(test)]
            Set::PortableMatrix => Set::Portable,
            other => other,
        })
    }

    /// Runs `kernel`, compiled for this instruction set.
    pub(crate) fn run(self, kernel: impl Kernel) {
        match self.0 {
            // SAFETY: this value is created only if the processor has the features.
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "calls code that is compiled with instructions beyond the baseline of the target"
            )]
            Set::Avx512Bf16 => unsafe { bf16_pairs::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "calls code that is compiled with instructions beyond the baseline of the target"
            )]
            Set::AmxBf16 => unsafe { amx::run(kernel) },
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => kernel.run(PortableBf16::new()),
            #[cfg(test)]
            Set::PortableMatrix => kernel.run(PortableMatrix::new()),
            _ => self.run_in_f32(kernel),
        }
    }

    /// Runs a kernel that neither multiplies bf16 nor pairs it, compiled for [`Isa::in_f32`]. There is one compiled version
    /// less for each set that multiplies bf16.
    pub(crate) fn run_in_f32(self, kernel: impl Kernel) {
        match self.in_f32().0 {
            // SAFETY: this value is created only if the processor has the features.
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "calls code that is compiled with instructions beyond the baseline of the target"
            )]
            Set::Avx2 => unsafe { avx2::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "calls code that is compiled with instructions beyond the baseline of the target"
            )]
            Set::Avx512 => unsafe { avx512::run(kernel) },
            _ => kernel.run(Portable::new()),
        }
    }

    /// The type of the elements of activations and gradients in memory: the type that is multiplied.
    #[must_use]
    pub fn element_type(self) -> ElementType {
        if self == self.in_f32() { ElementType::F32 } else { ElementType::Bf16 }
    }

    /// The number of steps of the depth in one element of a packed operand.
    pub(crate) fn steps(self) -> usize {
        with_type_of!(self.0, S => S::STEPS)
    }

    /// The packed depth is a multiple of this number of elements.
    pub(crate) fn depth_multiple(self) -> usize {
        with_type_of!(self.0, S => S::DEPTH_MULTIPLE)
    }

    /// Whether a matrix unit computes register tiles.
    #[must_use]
    pub fn has_matrix_unit(self) -> bool {
        with_type_of!(self.0, S => S::MATRIX_UNIT)
    }

    /// The rows and columns of a register tile.
    pub(crate) fn tile(self) -> (usize, usize) {
        with_type_of!(self.0, S => (S::ROWS, S::COLUMNS))
    }
}

/// Copies a slice that is shorter than a register, and pads it with zeros.
#[inline(always)]
fn padded<const N: usize>(from: &[f32]) -> [f32; N] {
    let mut all = [0.0; N];
    all[..from.len()].copy_from_slice(from);
    all
}
