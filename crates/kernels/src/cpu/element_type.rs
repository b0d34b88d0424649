//! The types of a tensor's elements.

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// 32 bits.
    F32,
    /// 16 bits: the upper half of an f32.
    Bf16,
}
