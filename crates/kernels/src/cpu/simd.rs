//! SIMD instruction sets, detected at run time, so that one binary runs on every processor.
//!
//! The kernels are generic over [`Simd`]. A value of such a type is a proof that the processor has the instructions:
//! only [`Isa::run`] creates one, inside of a function that is compiled with them. Code that is inlined there is
//! compiled with the instructions, too. An [`Isa`] is a proof as well: only this file creates one, after checking the
//! processor.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bf16;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) use bf16::Avx512Bf16;
#[cfg(any(test, feature = "portable-bf16"))]
pub(crate) use bf16::PortableBf16;
pub(crate) use portable::Portable;

/// A set of vector instructions for `f32`. All methods must be `#[inline(always)]`.
pub trait Simd: Copy + Send + Sync + 'static {
    /// A register.
    type Vector: Copy;
    /// The number of elements of a register.
    const LANES: usize;
    /// The number of rows of a register tile: as many as fit, with two registers left for the right operand and one for
    /// the broadcast left operand.
    const ROWS: usize;
    /// The number of columns of a register tile: two registers.
    const COLUMNS: usize = 2 * Self::LANES;
    /// The number of steps of the depth in one element of a packed operand: two for pairs of bf16, or else one.
    const STEPS: usize = 1;
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
    fn prefetch(self, from: &[f32], at: usize);
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
            *even = bf16::pair(*even, odd);
        }
        self.load(&pairs[..Self::LANES])
    }
    /// Converts a register to bf16, pairs neighbouring elements, and stores the first pairs to `to`, as many as fit.
    /// This default implementation is portable.
    #[inline(always)]
    fn narrow(self, vector: Self::Vector, to: &mut [f32]) {
        let mut all = [0.0; MAX_LANES];
        self.store(vector, &mut all[..Self::LANES]);
        for (to, &[even, odd]) in to.iter_mut().zip(all[..Self::LANES].as_chunks().0) {
            *to = bf16::pair(even, odd);
        }
    }
}

/// The number of elements of the widest register.
pub(crate) const MAX_LANES: usize = 16;
/// The number of columns of the widest register tile.
pub(crate) const MAX_WIDTH: usize = 2 * MAX_LANES;

/// Code that is compiled for each instruction set.
pub(crate) trait Kernel {
    /// Runs the code. Must be `#[inline(always)]`, or else it is compiled without the instructions.
    fn run<S: Simd>(self, simd: S);
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Set);

/// The supported instruction sets, fastest last.
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
    /// The baseline of the target with emulated bf16 multiplication: a reference for tests, too slow for anything else.
    #[cfg(any(test, feature = "portable-bf16"))]
    PortableBf16,
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

    /// Returns the instruction set that multiplies bf16, if this processor has it.
    #[must_use]
    pub fn detect_bf16() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if Self::detect() == Self(Set::Avx512) && is_x86_feature_detected!("avx512bf16") {
            return Some(Self(Set::Avx512Bf16));
        }
        None
    }

    /// Returns all instruction sets that multiply bf16, including the emulated reference.
    #[cfg(any(test, feature = "portable-bf16"))]
    #[must_use]
    pub fn with_bf16() -> Vec<Self> {
        std::iter::once(Self(Set::PortableBf16)).chain(Self::detect_bf16()).collect()
    }

    /// Returns the same instruction set with f32 multiplication.
    #[must_use]
    pub fn in_f32(self) -> Self {
        Self(match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => Set::Avx512,
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => Set::Portable,
            other => other,
        })
    }

    /// Runs `kernel`, compiled for this instruction set.
    pub(crate) fn run(self, kernel: impl Kernel) {
        match self.0 {
            Set::Portable => kernel.run(Portable::new()),
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
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "calls code that is compiled with instructions beyond the baseline of the target"
            )]
            Set::Avx512Bf16 => unsafe { bf16::run(kernel) },
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => kernel.run(PortableBf16::new()),
        }
    }

    /// The number of steps of the depth in one element of a packed operand.
    pub(crate) fn steps(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => Avx512Bf16::STEPS,
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => PortableBf16::STEPS,
            _ => Portable::STEPS,
        }
    }

    /// The rows and columns of a register tile.
    pub(crate) fn tile(self) -> (usize, usize) {
        match self.0 {
            Set::Portable => (Portable::ROWS, Portable::COLUMNS),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => (Avx2::ROWS, Avx2::COLUMNS),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => (Avx512::ROWS, Avx512::COLUMNS),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => (Avx512Bf16::ROWS, Avx512Bf16::COLUMNS),
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => (PortableBf16::ROWS, PortableBf16::COLUMNS),
        }
    }
}

/// Copies a slice that is shorter than a register, and pads it with zeros.
#[inline(always)]
fn padded<const N: usize>(from: &[f32]) -> [f32; N] {
    let mut all = [0.0; N];
    all[..from.len()].copy_from_slice(from);
    all
}
