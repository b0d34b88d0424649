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
