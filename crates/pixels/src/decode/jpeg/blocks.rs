//! The blocks of an image: coefficients while scans are read, then samples.

use super::idct;
use super::markers::{Component, Frame};
use crate::zigzag::ZIGZAG;

/// The number of samples along a side of a block.
pub(super) const SIDE: usize = 8;

/// What scans have decoded. Sequential scans have complete blocks, which are transformed at once. Progressive scans
/// have parts of coefficients, which are kept until the last scan.
///
/// The memory is allocated as zeros, which operating systems provide only when they are overwritten, so that a small
/// file that claims a large image takes little memory.
pub(super) struct Blocks {
    /// The samples of each component, `[8 rows, 8 stride]`.
    pub(super) planes: Vec<Vec<u8>>,
    /// The coefficients of the blocks of all components in zigzag order. Empty unless the frame is progressive.
    pub(super) coefficients: Vec<[i16; 64]>,
    /// For each block, a bit for each AC coefficient that is not zero. Empty unless the frame is progressive.
    nonzero: Vec<u64>,
    inverse_transform: fn(&[i16; 64]) -> [[u8; SIDE]; SIDE],
}

impl Blocks {
    pub(super) fn new(frame: &Frame) -> Self {
        let kept = if frame.is_progressive { frame.blocks } else { 0 };
        Blocks {
            planes: frame.components.iter().map(|c| vec![0; SIDE * SIDE * c.stride * c.rows]).collect(),
            coefficients: vec![[0; 64]; kept],
            nonzero: vec![0; kept],
            inverse_transform: idct::fastest(),
        }
    }

    /// Sets an AC coefficient that was zero.
    #[inline(always)]
    pub(super) fn set(&mut self, block: usize, k: usize, value: i32) {
        self.coefficients[block][k] = value as i16;
        self.nonzero[block] |= 1 << k;
    }

    /// Whether an AC coefficient is not zero.
    #[inline(always)]
    pub(super) fn has(&self, block: usize, k: usize) -> bool {
        self.nonzero[block] >> k & 1 == 1
    }

    /// Transforms the dequantised coefficients, in row order, of the block at a row and column of a component.
    #[inline(always)]
    pub(super) fn transform(
        &mut self,
        index: usize,
        component: &Component,
        row: usize,
        column: usize,
        dequantised: &[i16; 64],
        has_ac: bool,
    ) {
        let samples =
            if has_ac { (self.inverse_transform)(dequantised) } else { idct::constant_samples(dequantised[0]) };
        let stride = SIDE * component.stride;
        let start = SIDE * (row * stride + column);
        for (line, samples) in self.planes[index][start..].chunks_mut(stride).zip(samples) {
            line[..SIDE].copy_from_slice(&samples);
        }
    }

    /// Transforms the blocks of a progressive image after its last scan. `quantisation` has the table of each component
    /// in zigzag order.
    pub(super) fn transform_kept(&mut self, frame: &Frame, quantisation: &[[i16; 64]]) {
        if !frame.is_progressive {
            return;
        }
        for (index, (component, steps)) in frame.components.iter().zip(quantisation).enumerate() {
            for i in 0..component.stride * component.rows {
                let block = component.first_block + i;
                let mut dequantised = [0; 64];
                for ((&at, coefficient), step) in ZIGZAG.iter().zip(&self.coefficients[block]).zip(steps) {
                    dequantised[usize::from(at)] = coefficient.wrapping_mul(*step);
                }
                let (row, column, has_ac) = (i / component.stride, i % component.stride, self.nonzero[block] != 0);
                self.transform(index, component, row, column, &dequantised, has_ac);
            }
        }
        self.coefficients = Vec::new();
        self.nonzero = Vec::new();
    }
}
