//! The weights of a resize: which source pixels contribute to each resized pixel, and how much.

use std::ops::Range;

use super::Filter;

/// The number of fraction bits of a weight (Pillow's `PRECISION_BITS`): 32 bits less eight for the result and two for
/// filters that overshoot.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The weights of one axis. The value at each output position is a weighted sum of the values at neighbouring input
/// positions.
pub(super) struct Coefficients {
    spans: Vec<Span>,
    /// The weights of all spans, in units of 2^-22. A span of odd length is followed by a padding zero.
    weights: Vec<i32>,
}

/// The input positions of one output position.
#[derive(Clone, Copy)]
struct Span {
    /// The first input position.
    start: usize,
    /// The index of the first weight in [`Coefficients::weights`].
    weights: usize,
    /// The number of weights.
    len: usize,
}

impl Coefficients {
    /// Computes the weights for resizing an axis from `input` to `output` positions, but only for the output positions
    /// `kept` (`precompute_coeffs` and `normalize_coeffs_8bpc` of Pillow's `Resample.c`).
    pub(super) fn new(filter: Filter, input: usize, output: usize, kept: Range<usize>) -> Self {
        let (kernel, kernel_support) = kernel(filter);
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let support = kernel_support * filter_scale;
        let mut coefficients = Self { spans: Vec::with_capacity(kept.len()), weights: Vec::new() };
        let mut exact = Vec::new();
        for position in kept {
            let centre = (position as f64 + 0.5) * scale;
            let start = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            exact.clear();
            exact.extend((start..end).map(|x| kernel((x as f64 - centre + 0.5) * (1.0 / filter_scale))));
            coefficients.push(start, &exact);
        }
        coefficients
    }

    fn push(&mut self, start: usize, exact: &[f64]) {
        let first = self.weights.len();
        let sum: f64 = exact.iter().sum();
        let one = f64::from(1u32 << PRECISION_BITS);
        self.weights.extend(exact.iter().map(|weight| {
            let normalised = if sum == 0.0 { *weight } else { weight / sum };
            (normalised * one).round() as i32
        }));
        self.spans.push(Span { start, weights: first, len: exact.len() });
        if !exact.len().is_multiple_of(2) {
            self.weights.push(0);
        }
    }

    /// Returns the number of output positions.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Iterates over the output positions. Each item is the first input position, and the weights from that position
    /// on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.spans.iter().map(|span| (span.start, &self.weights[span.weights..][..span.len]))
    }

    /// Like [`Coefficients::iter`], but with weights in pairs. The last weight may be a padding zero.
    pub(super) fn iter_pairs(&self) -> impl Iterator<Item = (usize, &[[i32; 2]])> {
        self.spans.iter().map(|span| {
            let (pairs, _) = self.weights[span.weights..][..span.len.next_multiple_of(2)].as_chunks();
            (span.start, pairs)
        })
    }

    /// Returns the range of input positions that have weights.
    pub(super) fn input_range(&self) -> Range<usize> {
        let end = |span: &Span| span.start + span.len;
        let first = self.spans.iter().map(|span| span.start).min();
        let last = self.spans.iter().map(end).max();
        first.unwrap_or(0)..last.unwrap_or(0)
    }
}

/// Returns the kernel function of a filter, and its support.
fn kernel(filter: Filter) -> (fn(f64) -> f64, f64) {
    match filter {
        Filter::Nearest | Filter::Box => (box_kernel, 0.5),
        Filter::Bilinear => (triangle, 1.0),
        Filter::Bicubic => (cubic, 2.0),
        Filter::Lanczos => (lanczos, 3.0),
    }
}

fn box_kernel(x: f64) -> f64 {
    f64::from(x > -0.5 && x <= 0.5)
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Cubic convolution (R. G. Keys, 1981) with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn lanczos(x: f64) -> f64 {
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}
