//! Converts RGB bytes to normalised floats, and adds the padding of the first convolution.

use rayon::prelude::*;

use crate::pixels::{ByteValues, COLOURS};

/// Normalises the bytes `data`, `[images, height, width, 3]`, into `to`, `[images, height + 2 * padding, width + 2 *
/// padding, 3]`. As in PyTorch, the padding is zero after normalisation.
pub fn normalise_pixels(data: &[u8], [height, width]: [usize; 2], values: &ByteValues, padding: usize, to: &mut [f32]) {
    let (padded_height, row) = (height + 2 * padding, width * COLOURS);
    let border = padding * COLOURS;
    to.par_chunks_mut(row + 2 * border).enumerate().for_each(|(i, to)| {
        let (image, y) = (i / padded_height, i % padded_height);
        let Some(y) = y.checked_sub(padding).filter(|&y| y < height) else {
            to.fill(0.0);
            return;
        };
        let from = &data[(image * height + y) * row..][..row];
        to[..border].fill(0.0);
        for (to, from) in to[border..].chunks_exact_mut(COLOURS).zip(from.chunks_exact(COLOURS)) {
            for c in 0..COLOURS {
                to[c] = values[c][usize::from(from[c])];
            }
        }
        to[border + row..].fill(0.0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::byte_values;

    #[test]
    fn normalises_pixels_and_zeroes_the_padding() {
        let (n, height, width) = (2, 3, 5);
        let data: Vec<u8> = (0..n * height * width * COLOURS).map(|i| (i * 37 % 256) as u8).collect();
        let (mean, std) = ([0.5, 0.25, 0.0], [0.5, 1.0, 2.0]);
        for padding in 0..4 {
            let (rows, columns) = (height + 2 * padding, width + 2 * padding);
            let mut to = vec![f32::NAN; n * rows * columns * COLOURS];
            normalise_pixels(&data, [height, width], &byte_values(mean, std), padding, &mut to);
            for (i, value) in to.into_iter().enumerate() {
                let (pixel, c) = (i / COLOURS, i % COLOURS);
                let (image, y, x) = (pixel / columns / rows, pixel / columns % rows, pixel % columns);
                let inside =
                    y.checked_sub(padding).zip(x.checked_sub(padding)).filter(|&(y, x)| y < height && x < width);
                let expected = inside.map_or(0.0, |(y, x)| {
                    let byte = data[((image * height + y) * width + x) * COLOURS + c];
                    (f32::from(byte) / 255.0 - mean[c]) / std[c]
                });
                assert_eq!(value, expected, "padding {padding}, row {y}, column {x}, colour {c}");
            }
        }
    }
}
