//! The element type that convolutions and linear layers multiply.

/// Element type of the inputs and weights of convolutions and linear layers. Sums, statistics and master weights are f32
/// in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// f32 everywhere.
    F32,
    /// f32 storage; convolutions round their operands to TF32 (10 bits of mantissa). CUDA cards only.
    Tf32,
    /// bf16 operands (7 bits of mantissa) and f32 sums. On CUDA cards, activations are stored as bf16 as well.
    Bf16,
}

impl Precision {
    /// Bytes of an activation in device memory.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::Tf32 => 4,
            Self::Bf16 => 2,
        }
    }
}
