//! Normalisation of RGB bytes, with torchvision's arithmetic.

/// Colour channels of a pixel.
pub const COLOURS: usize = 3;

/// The normalised value of each byte, per colour channel.
pub type ByteValues = [[f32; 256]; COLOURS];

/// Computes `(byte / 255 - mean) / std` for each byte and colour channel.
#[must_use]
pub fn byte_values(mean: [f32; COLOURS], std: [f32; COLOURS]) -> ByteValues {
    let value = |c: usize, byte: usize| (byte as f32 / 255.0 - mean[c]) / std[c];
    std::array::from_fn(|c| std::array::from_fn(|byte| value(c, byte)))
}
