//! AMX, a matrix unit for bf16: Intel's processors from Sapphire Rapids on.
//!
//! The unit has eight registers of 16 rows of 64 bytes. `TDPBF16PS` multiplies 16 x 32 by 32 x 16 values of bf16 and adds
//! the product to 16 x 16 values of f32. (Intel, "64 and IA-32 Architectures Software Developer's Manual", volume 1,
//! chapter 18.)
#![expect(unsafe_code, reason = "instructions beyond the baseline of the target")]

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, _mm_sfence};
use core::marker::PhantomData;
use std::sync::OnceLock;

use super::bf16_pairs::Avx512Bf16;
use super::delegate::delegate_to_inner;
use super::{Kernel, Simd};

/// Rows of a register of the unit.
const UNIT_ROWS: usize = 16;
/// Packed elements, which are pairs of bf16, or values of f32, in a row of a register of the unit.
const UNIT_COLUMNS: usize = 16;

/// AVX-512 with its bf16 instructions, and AMX. A proof that the processor has them and that this thread's unit is
/// configured; only [`run`] creates it, and it cannot be sent to another thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AmxBf16(Avx512Bf16, PhantomData<*const ()>);

/// Whether the processor has the unit and the system lets this process use it.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_unit() && request_permission())
}

/// Whether the processor has AMX-TILE and AMX-BF16.
fn has_unit() -> bool {
    /// Bits of EDX of leaf 7.
    const AMX_BF16_AND_TILE: u32 = 1 << 22 | 1 << 24;
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & AMX_BF16_AND_TILE == AMX_BF16_AND_TILE
}

/// Asks Linux for the permission to use the unit's registers, for all threads of the process. Without it, the first
/// instruction would end the process. (`Documentation/arch/x86/xstate.rst` of the kernel.)
#[cfg(target_os = "linux")]
fn request_permission() -> bool {
    /// The number of the system call `arch_prctl`.
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: the call changes nothing but the permission. The instruction overwrites rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn request_permission() -> bool {
    false
}

/// The argument of `LDTILECFG`: palette 1, with eight registers.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static ALL_REGISTERS_WHOLE: Configuration = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut i = 0;
    while i < 8 {
        row_bytes[i] = 4 * UNIT_COLUMNS as u16;
        rows[i] = UNIT_ROWS as u8;
        i += 1;
    }
    Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
};

/// Runs `kernel`, compiled with these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn run(kernel: impl Kernel) {
    // SAFETY: the caller has checked that the unit is available. The instruction reads the configuration.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const ALL_REGISTERS_WHOLE, options(nostack, readonly)) };
    kernel.run(AmxBf16(Avx512Bf16::new(), PhantomData));
    // SAFETY: as above. Nothing reads the registers of the unit any more. Threads switch faster when it is not in use.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
    // Order non-temporal stores before the synchronisation with other threads.
    _mm_sfence();
}

impl Simd for AmxBf16 {
    delegate_to_inner!(
        Avx512Bf16,
        and accumulate(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
        pair(even: Self::Vector, odd: Self::Vector) -> Self::Vector;
        store_bf16(vector: Self::Vector, to: &mut [half::bf16]) -> ();
        store_row_bf16(row: [Self::Vector; 2], to: &mut [half::bf16], stream: bool) -> ();
    );

    // A register tile is 2 x 2 registers of the unit. Two more hold a part of each operand.
    const ROWS: usize = 2 * UNIT_ROWS;
    const STEPS: usize = 2;
    const DEPTH_MULTIPLE: usize = UNIT_COLUMNS;
    const MATRIX_UNIT: bool = true;

    #[inline(always)]
    fn multiply_tile(self, rows: usize, a: &[f32], pitch: usize, b: &[f32], c: &mut [f32], accumulate: bool) {
        let depth = b.len() / Self::COLUMNS;
        assert!(depth > 0 && depth.is_multiple_of(UNIT_COLUMNS) && b.len() == depth * Self::COLUMNS);
        assert!(a.len() >= (Self::ROWS - 1) * pitch + depth && c.len() >= Self::ROWS * Self::COLUMNS);
        let parts = depth / UNIT_COLUMNS;
        let row_bytes = size_of::<f32>() * Self::COLUMNS;
        let (a_pitch, accumulate) = (size_of::<f32>() * pitch, usize::from(accumulate));
        // SAFETY: `self` proves that the unit is available and configured. The assertions bound what is read and written:
        // of `a`, UNIT_COLUMNS elements of 16 or 32 rows for each part; all of `b`; of `c`, the first 16 or 32 rows.
        unsafe {
            if rows > UNIT_ROWS {
                asm!(
                    "test {accumulate}, {accumulate}",
                    "jz 2f",
                    "tileloadd tmm0, [{c} + {row}]",
                    "tileloadd tmm1, [{c} + {row} + 64]",
                    "tileloadd tmm2, [{c2} + {row}]",
                    "tileloadd tmm3, [{c2} + {row} + 64]",
                    "jmp 3f",
                    "2:",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "3:",
                    "tileloadd tmm4, [{a} + {a_pitch}]",
                    "tileloadd tmm6, [{b} + {row}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{b} + {row} + 64]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{a2} + {a_pitch}]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {a}, 64",
                    "add {a2}, 64",
                    "add {b}, 2048",
                    "dec {parts}",
                    "jnz 3b",
                    "tilestored [{c} + {row}], tmm0",
                    "tilestored [{c} + {row} + 64], tmm1",
                    "tilestored [{c2} + {row}], tmm2",
                    "tilestored [{c2} + {row} + 64], tmm3",
                    a = inout(reg) a.as_ptr() => _,
                    a2 = inout(reg) a.as_ptr().add(UNIT_ROWS * pitch) => _,
                    b = inout(reg) b.as_ptr() => _,
                    parts = inout(reg) parts => _,
                    a_pitch = in(reg) a_pitch,
                    row = in(reg) row_bytes,
                    c = in(reg) c.as_mut_ptr(),
                    c2 = in(reg) c.as_mut_ptr().add(UNIT_ROWS * Self::COLUMNS),
                    accumulate = in(reg) accumulate,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            } else {
                asm!(
                    "test {accumulate}, {accumulate}",
                    "jz 2f",
                    "tileloadd tmm0, [{c} + {row}]",
                    "tileloadd tmm1, [{c} + {row} + 64]",
                    "jmp 3f",
                    "2:",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "3:",
                    "tileloadd tmm4, [{a} + {a_pitch}]",
                    "tileloadd tmm6, [{b} + {row}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{b} + {row} + 64]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "add {a}, 64",
                    "add {b}, 2048",
                    "dec {parts}",
                    "jnz 3b",
                    "tilestored [{c} + {row}], tmm0",
                    "tilestored [{c} + {row} + 64], tmm1",
                    a = inout(reg) a.as_ptr() => _,
                    b = inout(reg) b.as_ptr() => _,
                    parts = inout(reg) parts => _,
                    a_pitch = in(reg) a_pitch,
                    row = in(reg) row_bytes,
                    c = in(reg) c.as_mut_ptr(),
                    accumulate = in(reg) accumulate,
                    out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    }
}
