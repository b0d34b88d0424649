//! Measures the peak rates of this machine on all cores, for `cargo xtask bench`: f32 and bf16 arithmetic, and memory
//! copies.
//!
//! `cargo run --release -p benches --example peak -- [SECONDS]`
//!
//! The arithmetic consists of independent fused multiply-adds on registers, enough to hide their latency. The rate is
//! therefore an upper bound for the kernels.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use kernels::cpu::Isa;
use rayon::prelude::*;

/// The number of bytes that each core copies. It exceeds the size of the caches.
const COPIED: usize = 256 << 20;
/// The number of rounds between two readings of the clock. A round is one multiply-add per chain.
const ROUNDS: u64 = 1 << 20;

/// An arithmetic kernel. Takes a number of rounds and returns the number of floating-point operations.
type Kernel = fn(u64) -> u64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(2.0), |text| text.parse())?;
    let duration = Duration::try_from_secs_f64(seconds)?;
    let mut out = std::io::stdout().lock();
    let mut print = |name: &str, program: &str, value: f64, unit: &str| {
        writeln!(out, r#"{{"name":"{name}","program":"{program}","value":{value},"unit":"{unit}"}}"#)
    };
    let (program, kernel) = f32_kernel();
    print("f32", program, operation_rate(kernel, duration) / 1e9, "GFLOP/s")?;
    if let Some((program, kernel)) = bf16_kernel() {
        print("bf16", program, operation_rate(kernel, duration) / 1e9, "GFLOP/s")?;
    }
    print("copy", "memcpy, bytes read plus bytes written", copy_rate(duration) / 1e9, "GB/s")?;
    Ok(())
}

/// Returns the operations per second of all cores together.
fn operation_rate(kernel: Kernel, duration: Duration) -> f64 {
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
fn copy_rate(duration: Duration) -> f64 {
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
    // Also asks the system for the permission to use the matrix unit.
    if Isa::detect_bf16().is_some_and(Isa::has_matrix_unit) {
        return Some(("AMX BF16 tile products", x86::bf16_amx));
    }
    is_x86_feature_detected!("avx512bf16").then_some(("AVX-512 BF16 dot products", x86::bf16_avx512 as Kernel))
}

#[cfg(not(target_arch = "x86_64"))]
fn bf16_kernel() -> Option<(&'static str, Kernel)> {
    None
}

/// A kernel for any processor. The compiler vectorises it.
fn portable(rounds: u64) -> u64 {
    const LANES: usize = 64;
    let (mut sums, factor) = ([1.0_f32; LANES], black_box(0.5_f32));
    for _ in 0..rounds {
        for sum in &mut sums {
            // On processors without the instruction, `mul_add` would be a slow library call.
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
    use std::arch::asm;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// The number of independent chains. To hide the latency, it must be at least latency (in cycles) times units,
    /// which is at most ten on current processors.
    const CHAINS: usize = 12;

    /// Defines a kernel of `CHAINS` chains of `$fma`. Each `$fma` performs `$operations` floating-point operations.
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

    /// Products of tiles of the matrix unit, 16 x 32 by 32 x 16, without loads.
    pub(super) fn bf16_amx(rounds: u64) -> u64 {
        const PRODUCTS: u64 = 4;
        /// Palette 1 with eight registers of 16 rows of 64 bytes; see `amx.rs` of the crate `kernels`.
        #[repr(align(64))]
        struct Configuration([u8; 64]);
        let mut configuration = Configuration([0; 64]);
        configuration.0[0] = 1;
        for register in 0..8 {
            configuration.0[16 + 2 * register] = 64;
            configuration.0[48 + register] = 16;
        }
        // SAFETY: chosen only where the processor has the unit and the system allows its use. Only registers of the unit
        // are written, which the compiler does not use. `ldtilecfg` sets them to zero.
        unsafe {
            asm!(
                "ldtilecfg [{configuration}]",
                "2:",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "dec {rounds}",
                "jnz 2b",
                "tilerelease",
                configuration = in(reg) &raw const configuration,
                rounds = inout(reg) rounds => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
        PRODUCTS * 2 * 16 * 16 * 32 * rounds
    }
}
