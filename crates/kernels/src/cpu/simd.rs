//! Which vector instructions to use: found out at run time, so that one binary serves every processor.
//!
//! The kernels are generic over [`Simd`]. A value of it is proof that the processor has the instructions, because only
//! [`Isa::run`] makes one, where it has switched them on; what is inlined from there is compiled with them. An [`Isa`] is
//! proof as well: only this file makes one, after asking the processor.

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
    /// Elements of a register.
    const LANES: usize;
    /// Rows of a register tile: as many accumulators as the register file holds beside two columns and a broadcast.
    const ROWS: usize;
    /// Columns of a register tile: two registers.
    const COLUMNS: usize = 2 * Self::LANES;
    /// Steps of a product's depth in one element of a packed operand: two where it is a pair of bf16, else one.
    const STEPS: usize = 1;
    /// Whether [`Simd::stream`] goes past the caches.
    const STREAMS: bool = false;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::Vector;
    /// The first `LANES` elements of `from`, or all of them followed by zeros.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// Writes the first lanes to `to`, as many as there is room for.
    fn store(self, vector: Self::Vector, to: &mut [f32]);
    /// As [`Simd::store`], past the caches where `to` is one whole cache line: for what will not be read soon. Ordered with
    /// other threads by the end of [`Isa::run`].
    fn stream(self, vector: Self::Vector, to: &mut [f32]);
    /// Asks for the line of `from` that element `at` is in, which need not exist.
    fn prefetch(self, from: &[f32], at: usize);
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once where the processor can.
    fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The positive part; what is not a number stays so, so that a diverged network shows.
    fn relu(self, a: Self::Vector) -> Self::Vector;
    /// `value` where `test` is positive, zero elsewhere.
    fn where_positive(self, test: Self::Vector, value: Self::Vector) -> Self::Vector;
    /// `x` where `a` is above `b` or not a number, `y` elsewhere.
    fn where_above(self, a: Self::Vector, b: Self::Vector, x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// Adds the products of all steps of packed operands to `c`, lane by lane.
    #[inline(always)]
    fn accumulate(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.fma(a, b, c)
    }
    /// Pairs of bf16 of what lies in the same lane of two vectors; this is the plain way.
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
    /// Pairs of bf16 of what lies side by side in a vector, into `to`, of which there may be fewer than half its lanes; this
    /// is the plain way.
    #[inline(always)]
    fn narrow(self, vector: Self::Vector, to: &mut [f32]) {
        let mut all = [0.0; MAX_LANES];
        self.store(vector, &mut all[..Self::LANES]);
        for (to, &[even, odd]) in to.iter_mut().zip(all[..Self::LANES].as_chunks().0) {
            *to = bf16::pair(even, odd);
        }
    }
}

/// Elements of the widest register.
pub(crate) const MAX_LANES: usize = 16;
/// Columns of the widest register tile.
pub(crate) const MAX_WIDTH: usize = 2 * MAX_LANES;

/// Work that is compiled once for each instruction set.
pub(crate) trait Kernel {
    /// Does the work; must be `#[inline(always)]`, or it is compiled without the instructions.
    fn run<S: Simd>(self, simd: S);
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Set);

/// The instruction sets there are kernels for, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// What the target's baseline has: SSE2 or NEON.
    Portable,
    /// AVX2 and FMA: 256 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512 with direct products of bf16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// The target's baseline with direct products of bf16: a reference, far too slow to be used.
    #[cfg(any(test, feature = "portable-bf16"))]
    PortableBf16,
}

impl Isa {
    /// The best one that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        *Self::available().last().unwrap_or(&Self(Set::Portable))
    }

    /// All that this processor has, best last.
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

    /// The one with direct products of bf16, where this processor has instructions for them.
    #[must_use]
    pub fn detect_bf16() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if Self::detect() == Self(Set::Avx512) && is_x86_feature_detected!("avx512bf16") {
            return Some(Self(Set::Avx512Bf16));
        }
        None
    }

    /// All with direct products of bf16, the reference among them.
    #[cfg(any(test, feature = "portable-bf16"))]
    #[must_use]
    pub fn with_bf16() -> Vec<Self> {
        std::iter::once(Self(Set::PortableBf16)).chain(Self::detect_bf16()).collect()
    }

    /// The same instructions with products of f32.
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

    /// Runs `kernel` with the instructions switched on.
    pub(crate) fn run(self, kernel: impl Kernel) {
        match self.0 {
            Set::Portable => kernel.run(Portable::new()),
            // SAFETY: this value is made only where the processor has the features.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calling code compiled for instructions that the target's baseline lacks")]
            Set::Avx2 => unsafe { avx2::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calling code compiled for instructions that the target's baseline lacks")]
            Set::Avx512 => unsafe { avx512::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calling code compiled for instructions that the target's baseline lacks")]
            Set::Avx512Bf16 => unsafe { bf16::run(kernel) },
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => kernel.run(PortableBf16::new()),
        }
    }

    /// Steps of a product's depth in one element of a packed operand.
    pub(crate) fn steps(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => Avx512Bf16::STEPS,
            #[cfg(any(test, feature = "portable-bf16"))]
            Set::PortableBf16 => PortableBf16::STEPS,
            _ => Portable::STEPS,
        }
    }

    /// Rows and columns of a register tile.
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

/// The elements of a slice that is shorter than a register, followed by zeros.
#[inline(always)]
fn padded<const N: usize>(from: &[f32]) -> [f32; N] {
    let mut all = [0.0; N];
    all[..from.len()].copy_from_slice(from);
    all
}
