//! An emulated matrix unit: the reference for [`Simd::multiply_tile`], so that the packing of its operands is tested on
//! every processor.

use super::Simd;
use super::bf16_pairs::PortableBf16;
use super::delegate::delegate_to_inner;

/// The emulated bf16 multiplication with a matrix unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortableMatrix(PortableBf16);

impl PortableMatrix {
    /// Creates the value. Every processor has the baseline, so nothing is checked.
    pub(crate) fn new() -> Self {
        Self(PortableBf16::new())
    }
}

impl Simd for PortableMatrix {
    delegate_to_inner!(
        PortableBf16,
        and accumulate(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
        pair(even: Self::Vector, odd: Self::Vector) -> Self::Vector;
        store_bf16(vector: Self::Vector, to: &mut [half::bf16]) -> ();
        store_row_bf16(row: [Self::Vector; 2], to: &mut [half::bf16], stream: bool) -> ();
    );

    // Unlike the register tiles of other instruction sets.
    const ROWS: usize = 10;
    const STEPS: usize = 2;
    const DEPTH_MULTIPLE: usize = 16;
    const MATRIX_UNIT: bool = true;

    #[inline(always)]
    fn multiply_tile(self, rows: usize, a: &[f32], pitch: usize, b: &[f32], c: &mut [f32], accumulate: bool) {
        let depth = b.len() / Self::COLUMNS;
        assert!(depth > 0 && depth.is_multiple_of(Self::DEPTH_MULTIPLE) && b.len() == depth * Self::COLUMNS);
        assert!(a.len() >= (Self::ROWS - 1) * pitch + depth && c.len() >= Self::ROWS * Self::COLUMNS);
        for (i, c) in c[..Self::ROWS * Self::COLUMNS].chunks_exact_mut(Self::COLUMNS).enumerate() {
            if i >= rows {
                c.fill(f32::NAN);
                continue;
            }
            if !accumulate {
                c.fill(0.0);
            }
            for (k, b) in b.chunks_exact(Self::COLUMNS).enumerate() {
                let a = self.splat(a[i * pitch + k]);
                for (b, c) in b.chunks_exact(Self::LANES).zip(c.chunks_exact_mut(Self::LANES)) {
                    let sum = self.accumulate(a, self.load(b), self.load(c));
                    self.store(sum, c);
                }
            }
        }
    }
}
