//! Pixels into the stem: bytes to normalised floats with the stem's padding around them.

use rayon::prelude::*;

use crate::architecture::COLOURS;
use crate::batch::{Normalisation, PixelBatch};

/// Writes `[n, height + 2 padding, width + 2 padding, 3]`; the padding is zero after normalisation, as PyTorch's is.
pub(crate) fn normalise(batch: &PixelBatch<'_>, normalisation: &Normalisation, padding: usize, to: &mut [f32]) {
    let (height, row) = (batch.height + 2 * padding, batch.width * COLOURS);
    let border = padding * COLOURS;
    let table = Table::new(normalisation);
    to.par_chunks_mut(row + 2 * border).enumerate().for_each(|(i, to)| {
        let (image, y) = (i / height, i % height);
        let Some(y) = y.checked_sub(padding).filter(|&y| y < batch.height) else {
            to.fill(0.0);
            return;
        };
        let from = &batch.data[(image * batch.height + y) * row..][..row];
        to[..border].fill(0.0);
        for (to, from) in to[border..].chunks_exact_mut(COLOURS).zip(from.chunks_exact(COLOURS)) {
            for c in 0..COLOURS {
                to[c] = table.0[c][usize::from(from[c])];
            }
        }
        to[border + row..].fill(0.0);
    });
}

/// The 256 values that a byte can become, for each colour, with torchvision's arithmetic: `(byte / 255 - mean) / std`.
struct Table([[f32; 256]; COLOURS]);

impl Table {
    fn new(normalisation: &Normalisation) -> Self {
        let value = |c: usize, byte: usize| (byte as f32 / 255.0 - normalisation.mean[c]) / normalisation.std[c];
        Self(std::array::from_fn(|c| std::array::from_fn(|byte| value(c, byte))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_normalised_within_zeros() {
        let (n, height, width) = (2, 3, 5);
        let data: Vec<u8> = (0..n * height * width * COLOURS).map(|i| (i * 37 % 256) as u8).collect();
        let batch = PixelBatch { data: &data, n, height, width };
        let normalisation = Normalisation { mean: [0.5, 0.25, 0.0], std: [0.5, 1.0, 2.0] };
        for padding in 0..4 {
            let (rows, columns) = (height + 2 * padding, width + 2 * padding);
            let mut to = vec![f32::NAN; n * rows * columns * COLOURS];
            normalise(&batch, &normalisation, padding, &mut to);
            for (i, value) in to.into_iter().enumerate() {
                let (pixel, c) = (i / COLOURS, i % COLOURS);
                let (image, y, x) = (pixel / columns / rows, pixel / columns % rows, pixel % columns);
                let inside =
                    y.checked_sub(padding).zip(x.checked_sub(padding)).filter(|&(y, x)| y < height && x < width);
                let expected = inside.map_or(0.0, |(y, x)| {
                    let byte = data[((image * height + y) * width + x) * COLOURS + c];
                    (f32::from(byte) / 255.0 - normalisation.mean[c]) / normalisation.std[c]
                });
                assert_eq!(value, expected, "padding {padding}, row {y}, column {x}, colour {c}");
            }
        }
    }
}
