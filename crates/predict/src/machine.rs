//! The machine that computes a verdict.

use model::device::Device;
use serde::{Deserialize, Serialize};

/// Where a verdict was computed. On machines that are equal in all fields but `device`, results are equal to the last
/// digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The operating system.
    pub system: String,
    /// The architecture of the processor.
    pub architecture: String,
    /// The kind of device: `cpu`, `cpu bf16` or `cuda`.
    pub kind: String,
    /// The instruction set of the CPU back end.
    pub instruction_set: String,
    /// The device in words.
    pub device: String,
}

impl Machine {
    /// Describes this machine with an open device.
    pub(crate) fn of(device: &Device) -> Machine {
        let isa = format!("{:?}", device.isa());
        let isa = isa.strip_prefix("Isa(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(&isa);
        Machine {
            system: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            kind: device.kind().to_owned(),
            instruction_set: isa.to_lowercase(),
            device: device.to_string(),
        }
    }

    /// Whether results must be equal to the last digit.
    pub fn computes_like(&self, other: &Machine) -> bool {
        Machine { device: String::new(), ..self.clone() } == Machine { device: String::new(), ..other.clone() }
    }
}
