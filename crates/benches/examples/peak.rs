//! The peak of this machine on all cores, for `cargo xtask bench`: f32 and bf16 arithmetic, and copying memory.
//!
//! `cargo run --release -p benches --example peak -- [SECONDS]`
//!
//! The arithmetic is fused multiply-adds on registers, enough of them in flight to hide the latency. No kernel can be
//! faster.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use rayon::prelude::*;

/// Bytes that each core copies: much more than any cache.
const COPIED: usize = 256 << 20;
/// Multiply-adds of a chain between two readings of the clock.
const ROUNDS: u64 = 1 << 20;

/// An arithmetic kernel. Takes a number of rounds and returns the number of floating-point operations.
type Kernel = fn(u64) -> u64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(2.0), |text| text.parse())?;
    let duration = Duration::from_secs_f64(seconds);
    let mut out = std::io::stdout().lock();
    let mut print = |name: &str, how: &str, value: f64, unit: &str| {
        writeln!(out, r#"{{"name":"{name}","program":"{how}","value":{value},"unit":"{unit}"}}"#)
    };
    let (how, kernel) = f32_kernel();
    print("f32", how, arithmetic(kernel, duration) / 1e9, "GFLOP/s")?;
    if let Some((how, kernel)) = bf16_kernel() {
        print("bf16", how, arithmetic(kernel, duration) / 1e9, "GFLOP/s")?;
    }
    print("copy", "memcpy, bytes read plus bytes written", copying(duration) / 1e9, "GB/s")?;
    Ok(())
}

/// Returns the operations per second of all cores together.
fn arithmetic(kernel: Kernel, duration: Duration) -> f64 {
    let start = Instant::now();
    let operations: u64 = rayon::broadcast(|_| {
        let mut operations = 0;
        while start.elapsed() < duration {
            operations += kernel(ROUNDS);
        }
        operations
    })
    .into_iter()
    .sum();
    operations as f64 / start.elapsed().as_secs_f64()
}

/// Returns the bytes per second, read and written, of all cores together.
fn copying(duration: Duration) -> f64 {
    let buffer = |_| (vec![1_u8; COPIED], vec![2_u8; COPIED]);
    let mut buffers: Vec<_> = (0..rayon::current_num_threads()).into_par_iter().map(buffer).collect();
    let (start, mut bytes) = (Instant::now(), 0);
    while start.elapsed() < duration {
        buffers.par_iter_mut().for_each(|(from, to)| {
            to.copy_from_slice(black_box(from));
            black_box(to);
        });
        bytes += 2 * COPIED * buffers.len();
    }
    bytes as f64 / start.elapsed().as_secs_f64()
}

#[cfg(target_arch = "x86_64")]
fn f32_kernel() -> (&'static str, Kernel) {
    if is_x86_feature_detected!("avx512f") {
        return ("AVX-512 FMA", x86::f32_avx512);
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        return ("AVX2 FMA", x86::f32_avx2);
    }
    ("multiply and add without FMA", portable)
}

#[cfg(not(target_arch = "x86_64"))]
fn f32_kernel() -> (&'static str, Kernel) {
    ("FMA", portable)
}

#[cfg(target_arch = "x86_64")]
fn bf16_kernel() -> Option<(&'static str, Kernel)> {
    is_x86_feature_detected!("avx512bf16").then_some(("AVX-512 BF16 dot products", x86::bf16_avx512 as Kernel))
}

#[cfg(not(target_arch = "x86_64"))]
fn bf16_kernel() -> Option<(&'static str, Kernel)> {
    None
}

/// For any processor; the compiler vectorises it.
fn portable(rounds: u64) -> u64 {
    const LANES: usize = 64;
    let (mut sums, factor) = ([1.0_f32; LANES], black_box(0.5_f32));
    for _ in 0..rounds {
        for sum in &mut sums {
            // Without an instruction for it, a fused multiply-add would be a library call.
            *sum = if cfg!(target_feature = "fma") || cfg!(target_arch = "aarch64") {
                sum.mul_add(factor, 1.0)
            } else {
                *sum * factor + 1.0
            };
        }
    }
    black_box(sums);
    2 * rounds * LANES as u64
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the processor's own instructions")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Chains in flight: latency times units is at most ten on current processors.
    const CHAINS: usize = 12;

    /// A kernel of `CHAINS` chains of `$fma`, `$operations` of them a vector.
    macro_rules! kernel {
        ($name:ident, $features:literal, $operations:literal, $one:expr, $factor:expr, $fma:ident) => {
            pub(super) fn $name(rounds: u64) -> u64 {
                #[target_feature(enable = $features)]
                fn run(rounds: u64) {
                    let (mut sums, factor) = ([$one; CHAINS], $factor);
                    for _ in 0..rounds {
                        for sum in &mut sums {
                            *sum = $fma(*sum, factor, factor);
                        }
                    }
                    black_box(sums);
                }
                // SAFETY: chosen only where the processor has the features.
                unsafe { run(rounds) };
                $operations * CHAINS as u64 * rounds
            }
        };
    }

    kernel!(f32_avx512, "avx512f", 32, _mm512_set1_ps(1.0), _mm512_set1_ps(black_box(0.5)), _mm512_fmadd_ps);
    kernel!(f32_avx2, "avx2,fma", 16, _mm256_set1_ps(1.0), _mm256_set1_ps(black_box(0.5)), _mm256_fmadd_ps);
    kernel!(
        bf16_avx512,
        "avx512bf16,avx512f",
        64,
        _mm512_set1_ps(1.0),
        _mm512_cvtne2ps_pbh(_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.5))),
        _mm512_dpbf16_ps
    );
}
