//! Devices, their names in configurations, and how to open them.

use std::fmt;
#[cfg(feature = "cuda")]
use std::rc::Rc;
use std::str::FromStr;

use kernels::Precision;
use kernels::cpu::{ElementType, Isa};
#[cfg(feature = "cuda")]
use kernels::cuda::Card;
use serde::{Deserialize, Serialize};

use crate::precision::PrecisionChoice;

/// An unknown or unusable device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The name of a device is unknown.
    #[error("`{0}` is not a device: use `auto`, `cpu`, `cuda` or `cuda:N`")]
    Name(String),
    /// This build or this machine cannot compute on the device.
    #[error("cannot compute on {0}; `cpu` always works")]
    Unsupported(String),
}

/// An open device. Clones refer to the same device.
#[derive(Clone, Debug, Default)]
pub enum Device {
    /// The processor, computing in f32.
    #[default]
    Cpu,
    /// The processor, with products of bf16 values, and activations and gradients in bf16, if it has AVX-512 BF16. Where
    /// it also has AMX, products use that.
    CpuBf16,
    /// A CUDA card.
    #[cfg(feature = "cuda")]
    Cuda(Rc<Card>),
}

impl Device {
    /// Returns whether this is the processor.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu | Self::CpuBf16)
    }

    /// Returns the kind of device: "cpu", "cpu bf16" or "cuda". On one machine, a kind always computes the same bits.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuBf16 => "cpu bf16",
            #[cfg(feature = "cuda")]
            Self::Cuda(_) => "cuda",
        }
    }

    /// Returns the bytes of a card's own memory that all programs together use now, or `None` for the processor.
    #[must_use]
    pub fn memory_in_use(&self) -> Option<u64> {
        match self {
            Self::Cpu | Self::CpuBf16 => None,
            #[cfg(feature = "cuda")]
            Self::Cuda(card) => card.memory_in_use(),
        }
    }

    /// Returns the precision of the CPU back end: bf16 or f32.
    #[must_use]
    pub fn processor_precision(&self) -> Precision {
        match self.isa().element_type() {
            ElementType::F32 => Precision::F32,
            ElementType::Bf16 => Precision::Bf16,
        }
    }

    /// Returns the instruction set of the CPU back end.
    #[must_use]
    pub fn isa(&self) -> Isa {
        let bf16 = if matches!(self, Self::CpuBf16) { Isa::detect_bf16() } else { None };
        match Isa::available().first() {
            Some(portable) if is_portable_forced() => *portable,
            _ => bf16.unwrap_or_else(Isa::detect),
        }
    }
}

/// Returns whether `CANDLING_ISA` is `portable`. The CPU back end then uses only instructions that every processor has,
/// so that results do not depend on the processor. Tests with golden results set it.
fn is_portable_forced() -> bool {
    std::env::var_os("CANDLING_ISA").is_some_and(|isa| isa == "portable")
}

/// A device as named in configurations: `auto`, `cpu`, `cuda` (the first card) or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first CUDA card if the build and the machine support CUDA, else the CPU.
    #[default]
    Auto,
    /// The CPU, with all cores. `RAYON_NUM_THREADS` limits the number of threads.
    Cpu,
    /// A CUDA card by its index.
    Cuda(usize),
}

impl DeviceChoice {
    /// Opens the device. Prints the reason if `auto` falls back to the CPU, or if the CPU falls back to f32.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] if this build or this machine does not have the card.
    pub fn open(self, precision: PrecisionChoice) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(processor(precision)),
            Self::Auto => Ok(first_card(precision).unwrap_or_else(|| processor(precision))),
            Self::Cuda(index) => card(index, precision),
        }
    }
}

fn processor(precision: PrecisionChoice) -> Device {
    let fall_back = |reason| {
        artifacts::progress::line(&format!("computing in f32: {reason}"));
        Device::Cpu
    };
    match precision {
        PrecisionChoice::Auto | PrecisionChoice::Fixed(Precision::F32) => Device::Cpu,
        PrecisionChoice::Fixed(Precision::Tf32) => fall_back("tf32 needs a card"),
        PrecisionChoice::Fixed(Precision::Bf16) if Isa::detect_bf16().is_none() => {
            fall_back("this processor does not have AVX-512 BF16")
        }
        PrecisionChoice::Fixed(Precision::Bf16) => Device::CpuBf16,
    }
}

#[cfg(feature = "cuda")]
fn open_card(index: usize, precision: PrecisionChoice) -> Result<Device, kernels::cuda::Error> {
    let precision = match precision {
        PrecisionChoice::Auto => None,
        PrecisionChoice::Fixed(precision) => Some(precision),
    };
    Ok(Device::Cuda(Rc::new(Card::open(index, precision)?)))
}

#[cfg(feature = "cuda")]
fn card(index: usize, precision: PrecisionChoice) -> Result<Device, DeviceError> {
    open_card(index, precision).map_err(|reason| DeviceError::Unsupported(format!("cuda:{index} ({reason})")))
}

#[cfg(not(feature = "cuda"))]
fn card(index: usize, _precision: PrecisionChoice) -> Result<Device, DeviceError> {
    Err(DeviceError::Unsupported(format!("cuda:{index} (this program was built without CUDA)")))
}

#[cfg(feature = "cuda")]
fn first_card(precision: PrecisionChoice) -> Option<Device> {
    let explain = |reason| artifacts::progress::line(&format!("computing on the CPU: {reason}"));
    open_card(0, precision).map_err(explain).ok()
}

#[cfg(not(feature = "cuda"))]
fn first_card(_precision: PrecisionChoice) -> Option<Device> {
    None
}

/// Formats a description for people and manifests, such as "cpu (AMD EPYC 9654, 2 threads)".
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
            Self::Cuda(card) => fmt::Display::fmt(card, f),
        }
    }
}

/// Returns the processor's name, or `None` on systems other than Linux.
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
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Name(text.to_owned());
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
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
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
    fn parses_its_own_names_and_rejects_others() {
        for name in ["auto", "cpu", "cuda", "cuda:3"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("cuda:0".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for name in ["", "gpu", "cuda:", "cuda:x", "cpu:1"] {
            assert!(name.parse::<DeviceChoice>().unwrap_err().to_string().contains("auto"), "{name}");
        }
    }

    #[test]
    fn rejects_missing_card_with_reason() {
        #[cfg(feature = "emulation")]
        let _lock = kernels::cuda::test_support::lock_card();
        let error = DeviceChoice::Cuda(4096).open(PrecisionChoice::Auto).unwrap_err().to_string();
        assert!(error.contains("cuda:4096 ("), "{error}");
        // `auto` opens a device on every machine.
        let device = DeviceChoice::Auto.open(PrecisionChoice::Auto).unwrap();
        assert_eq!(device.is_cpu(), device.to_string().starts_with("cpu ("));
    }

    #[test]
    fn describes_cpu_with_its_threads() {
        let text = DeviceChoice::Cpu.open(PrecisionChoice::Fixed(Precision::F32)).unwrap().to_string();
        assert!(text.starts_with("cpu (") && text.contains("thread") && !text.contains("bf16"), "{text}");
    }

    #[test]
    fn cpu_falls_back_to_f32_without_bf16_instructions() {
        let device = DeviceChoice::Cpu.open(PrecisionChoice::Fixed(Precision::Bf16)).unwrap();
        assert_eq!(device.to_string().contains("bf16"), Isa::detect_bf16().is_some());
        assert!(matches!(DeviceChoice::Cpu.open(PrecisionChoice::Fixed(Precision::Tf32)).unwrap(), Device::Cpu));
    }
}
