//! Where to compute, as configurations and options name it.

use std::fmt;
use std::str::FromStr;

use kernels::Precision;
use kernels::cpu::Isa;
use serde::{Deserialize, Serialize};

use crate::accelerator::Accelerator;
use crate::architecture::Plan;
use crate::batch::Normalisation;
use crate::error::{Error, Result};
use crate::precision::PrecisionChoice;

/// Where a network computes. Clones are the same device.
#[derive(Clone, Debug, Default)]
pub enum Device {
    /// This processor, with products of f32.
    #[default]
    Cpu,
    /// This processor, with products of bf16 where it has instructions for them.
    CpuBf16,
    /// A CUDA card.
    #[cfg(feature = "cuda")]
    Cuda(crate::cuda::SharedCard),
}

impl Device {
    /// Whether this is the processor.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu | Self::CpuBf16)
    }

    /// What must be the same, on one machine, for results to be the same in every bit: "cpu", "cpu bf16" or "cuda".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuBf16 => "cpu bf16",
            #[cfg(feature = "cuda")]
            Self::Cuda(_) => "cuda",
        }
    }

    /// Bytes of a card's own memory that are taken at the moment, by this program and all others; nothing for the processor.
    #[must_use]
    pub fn memory_in_use(&self) -> Option<u64> {
        match self {
            Self::Cpu | Self::CpuBf16 => None,
            #[cfg(feature = "cuda")]
            Self::Cuda(card) => card.memory_in_use(),
        }
    }

    /// The instructions that the processor computes with.
    pub(crate) fn isa(&self) -> Isa {
        let bf16 = if matches!(self, Self::CpuBf16) { Isa::detect_bf16() } else { None };
        match Isa::available().first() {
            Some(portable) if is_portable_forced() => *portable,
            _ => bf16.unwrap_or_else(Isa::detect),
        }
    }

    /// The back end of a device with memory of its own.
    pub(crate) fn accelerator(
        &self,
        plan: &Plan,
        normalisation: &Normalisation,
    ) -> Result<Option<Box<dyn Accelerator>>> {
        match self {
            Self::Cpu | Self::CpuBf16 => {
                let _ = (plan, normalisation);
                Ok(None)
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(card) => Ok(Some(crate::cuda::accelerator(card, plan, normalisation)?)),
        }
    }
}

/// Returns whether `CANDLING_ISA=portable` asks for the instructions that every processor has, so that results do not depend
/// on the processor. Tests with golden results set it.
fn is_portable_forced() -> bool {
    std::env::var_os("CANDLING_ISA").is_some_and(|isa| isa == "portable")
}

/// `auto`, `cpu`, `cuda` (the first card) or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// CUDA where the build and the machine have it, the CPU elsewhere.
    #[default]
    Auto,
    /// The CPU, all cores (`RAYON_NUM_THREADS` limits them).
    Cpu,
    /// A CUDA card by its index.
    Cuda(usize),
}

impl DeviceChoice {
    /// Opens the device. Says on the progress line why `auto` falls back to the CPU, and why the CPU falls back to f32.
    ///
    /// # Errors
    /// A card was asked for by name and this build or this machine does not have it.
    pub fn open(self, precision: PrecisionChoice) -> Result<Device> {
        match self {
            Self::Cpu => Ok(processor(precision)),
            Self::Auto => Ok(first_card(precision).unwrap_or_else(|| processor(precision))),
            Self::Cuda(index) => card(index, precision),
        }
    }
}

fn processor(precision: PrecisionChoice) -> Device {
    let instead = |reason| {
        artifacts::progress::line(&format!("computing in f32: {reason}"));
        Device::Cpu
    };
    match precision {
        PrecisionChoice::Auto | PrecisionChoice::Fixed(Precision::F32) => Device::Cpu,
        PrecisionChoice::Fixed(Precision::Tf32) => instead("tf32 is for cards"),
        PrecisionChoice::Fixed(Precision::Bf16) if Isa::detect_bf16().is_none() => {
            instead("this processor does not have AVX512_BF16")
        }
        PrecisionChoice::Fixed(Precision::Bf16) => Device::CpuBf16,
    }
}

#[cfg(feature = "cuda")]
fn card(index: usize, precision: PrecisionChoice) -> Result<Device> {
    let refused = |reason| Error::UnsupportedDevice(format!("cuda:{index} ({reason})"));
    crate::cuda::open(index, precision).map(Device::Cuda).map_err(refused)
}

#[cfg(not(feature = "cuda"))]
fn card(index: usize, _precision: PrecisionChoice) -> Result<Device> {
    Err(Error::UnsupportedDevice(format!("cuda:{index} (this program was built without CUDA)")))
}

#[cfg(feature = "cuda")]
fn first_card(precision: PrecisionChoice) -> Option<Device> {
    let explain = |reason| artifacts::progress::line(&format!("computing on the CPU: {reason}"));
    crate::cuda::open(0, precision).map(Device::Cuda).map_err(explain).ok()
}

#[cfg(not(feature = "cuda"))]
fn first_card(_precision: PrecisionChoice) -> Option<Device> {
    None
}

/// What people are told of a device, and manifests record: "cpu (AMD EPYC 9654, 2 threads)".
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu | Self::CpuBf16 => {
                let threads = rayon::current_num_threads();
                let noun = if threads == 1 { "thread" } else { "threads" };
                let name = processor_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
                let instructions = match self {
                    _ if is_portable_forced() => ", portable instructions",
                    Self::CpuBf16 => ", bf16",
                    _ => "",
                };
                write!(f, "cpu ({name}, {threads} {noun}{instructions})")
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(card) => card.fmt(f),
        }
    }
}

/// The processor's name as Linux gives it; other systems go without.
fn processor_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, name) = text.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(name.trim().to_owned())
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::DeviceName(text.to_owned());
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", index)) => index.parse().map(Self::Cuda).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for name in ["auto", "cpu", "cuda", "cuda:3"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("cuda:0".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for name in ["", "gpu", "cuda:", "cuda:x", "cpu:1"] {
            assert!(name.parse::<DeviceChoice>().unwrap_err().to_string().contains("auto"), "{name}");
        }
    }

    #[test]
    fn a_card_that_is_not_there_is_refused_with_the_reason() {
        #[cfg(feature = "emulation")]
        let _turn = kernels::cuda::test_support::turn();
        let error = DeviceChoice::Cuda(4096).open(PrecisionChoice::Auto).unwrap_err().to_string();
        assert!(error.contains("cuda:4096 ("), "{error}");
        // Whatever the build and the machine have, there is always a device.
        let device = DeviceChoice::Auto.open(PrecisionChoice::Auto).unwrap();
        assert_eq!(device.is_cpu(), device.to_string().starts_with("cpu ("));
    }

    #[test]
    fn a_cpu_is_described_with_its_threads() {
        let text = DeviceChoice::Cpu.open(PrecisionChoice::Fixed(Precision::F32)).unwrap().to_string();
        assert!(text.starts_with("cpu (") && text.contains("thread") && !text.contains("bf16"), "{text}");
    }

    #[test]
    fn bf16_is_taken_where_the_processor_has_it_and_f32_elsewhere() {
        let device = DeviceChoice::Cpu.open(PrecisionChoice::Fixed(Precision::Bf16)).unwrap();
        assert_eq!(device.to_string().contains("bf16"), Isa::detect_bf16().is_some());
        assert!(matches!(DeviceChoice::Cpu.open(PrecisionChoice::Fixed(Precision::Tf32)).unwrap(), Device::Cpu));
    }
}
