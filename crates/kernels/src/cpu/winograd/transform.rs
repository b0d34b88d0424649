//! The transforms of Winograd's F(4x4, 3x3), for one register of channels at a time.
//!
//! For a 6x6 input patch `d` and a 3x3 kernel `g`, the 4x4 output is `y = Aᵀ ((G g Gᵀ) * (Bᵀ d B)) A`. The matrices
//! come from Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv 1509.09308), section 4.3. The
//! gradient of the kernel is the adjoint: `Gᵀ ((A dy Aᵀ) * (Bᵀ d B)) G`.
//!
//! The code uses loops with fixed bounds instead of closures and array methods, because the code of those is not
//! compiled with the instruction set.

use super::super::simd::Simd;

/// The side of an output tile.
pub(crate) const TILE: usize = 4;
/// The side of an input patch.
pub(crate) const PATCH: usize = 6;
/// The number of positions of a patch: the multiplications of a tile for each pair of channels.
pub(crate) const POSITIONS: usize = PATCH * PATCH;
/// The side of a kernel.
pub(crate) const KERNEL: usize = 3;

/// A square matrix of registers.
pub(crate) type Square<S, const N: usize> = [[<S as Simd>::Vector; N]; N];

/// `Bᵀ d`.
#[inline(always)]
fn input_line<S: Simd>(s: S, d: [S::Vector; 6]) -> [S::Vector; 6] {
    let (two, four, five) = (s.splat(2.0), s.splat(4.0), s.splat(-5.0));
    let minus_four = s.splat(-4.0);
    let even = s.fma(minus_four, d[2], d[4]);
    let odd = s.fma(minus_four, d[1], d[3]);
    let (even_two, odd_two) = (s.sub(d[4], d[2]), s.mul(two, s.sub(d[3], d[1])));
    [
        s.fma(four, d[0], s.fma(five, d[2], d[4])),
        s.add(even, odd),
        s.sub(even, odd),
        s.add(even_two, odd_two),
        s.sub(even_two, odd_two),
        s.fma(four, d[1], s.fma(five, d[3], d[5])),
    ]
}

/// `Aᵀ m`.
#[inline(always)]
fn output_line<S: Simd>(s: S, m: [S::Vector; 6]) -> [S::Vector; 4] {
    let (sum_one, difference_one) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (sum_two, difference_two) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(m[0], s.add(sum_one, sum_two)),
        s.fma(s.splat(2.0), difference_two, difference_one),
        s.fma(s.splat(4.0), sum_two, sum_one),
        s.add(s.fma(s.splat(8.0), difference_two, difference_one), m[5]),
    ]
}

/// `A y`.
#[inline(always)]
fn output_gradient_line<S: Simd>(s: S, y: [S::Vector; 4]) -> [S::Vector; 6] {
    let (even_one, odd_one) = (s.add(y[0], y[2]), s.add(y[1], y[3]));
    let even_two = s.fma(s.splat(4.0), y[2], y[0]);
    let odd_two = s.mul(s.splat(2.0), s.fma(s.splat(4.0), y[3], y[1]));
    [y[0], s.add(even_one, odd_one), s.sub(even_one, odd_one), s.add(even_two, odd_two), s.sub(even_two, odd_two), y[3]]
}

/// `G g`.
#[inline(always)]
fn kernel_line<S: Simd>(s: S, g: [S::Vector; 3]) -> [S::Vector; 6] {
    let outer = s.mul(s.splat(-1.0 / 6.0), s.add(g[0], g[2]));
    let inner = s.mul(s.splat(1.0 / 6.0), g[1]);
    let outer_two = s.fma(s.splat(1.0 / 24.0), g[0], s.mul(s.splat(1.0 / 6.0), g[2]));
    let inner_two = s.mul(s.splat(1.0 / 12.0), g[1]);
    [
        s.mul(s.splat(0.25), g[0]),
        s.sub(outer, inner),
        s.add(outer, inner),
        s.add(outer_two, inner_two),
        s.sub(outer_two, inner_two),
        g[2],
    ]
}

/// `Gᵀ u`.
#[inline(always)]
fn kernel_gradient_line<S: Simd>(s: S, u: [S::Vector; 6]) -> [S::Vector; 3] {
    let sixth = s.splat(1.0 / 6.0);
    let (sum_one, difference_one) = (s.add(u[1], u[2]), s.sub(u[2], u[1]));
    let (sum_two, difference_two) = (s.add(u[3], u[4]), s.sub(u[3], u[4]));
    let minus = s.mul(s.splat(-1.0 / 6.0), sum_one);
    [
        s.fma(s.splat(0.25), u[0], s.fma(s.splat(1.0 / 24.0), sum_two, minus)),
        s.fma(sixth, difference_one, s.mul(s.splat(1.0 / 12.0), difference_two)),
        s.fma(sixth, sum_two, s.add(minus, u[5])),
    ]
}

/// Defines the function `$name`, which computes `M x Mᵀ` for the `$to` x `$from` matrix `M`. `$line` computes `M` times
/// a column.
macro_rules! both_sides {
    ($name:ident, $line:ident, $from:literal, $to:literal, $what:literal) => {
        #[doc = $what]
        #[inline(always)]
        pub(crate) fn $name<S: Simd>(s: S, x: &Square<S, $from>) -> Square<S, $to> {
            let mut rows = [[s.splat(0.0); $to]; $from];
            for i in 0..$from {
                rows[i] = $line(s, x[i]);
            }
            let mut result = [[s.splat(0.0); $to]; $to];
            for j in 0..$to {
                let mut column = [s.splat(0.0); $from];
                for i in 0..$from {
                    column[i] = rows[i][j];
                }
                let column = $line(s, column);
                for i in 0..$to {
                    result[i][j] = column[i];
                }
            }
            result
        }
    };
}

both_sides!(input, input_line, 6, 6, "The input transform `Bᵀ d B` of a patch.");
both_sides!(output, output_line, 6, 4, "The output transform `Aᵀ m A` of the products.");
both_sides!(output_gradient, output_gradient_line, 4, 6, "The gradient of the products, `A dy Aᵀ`.");
both_sides!(kernel, kernel_line, 3, 6, "The kernel transform `G g Gᵀ`.");
both_sides!(kernel_gradient, kernel_gradient_line, 6, 3, "The gradient of the kernel, `Gᵀ u G`.");
