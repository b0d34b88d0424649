//! The first frame of a GIF that does not cover the canvas (GIF89a specification, sections 18 to 23).

/// Fills the pixels, `[height, width, 3]`, outside the first frame as Pillow does: with the colour that is declared
/// transparent, or else with the first colour.
pub(super) fn fill_outside_frame(file: &[u8], width: usize, pixels: &mut [u8]) {
    let Some(Frame { left, top, right, bottom, fill }) = first_frame(file) else { return };
    for (y, row) in pixels.chunks_exact_mut(3 * width).enumerate() {
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            if !(left..right).contains(&x) || !(top..bottom).contains(&y) {
                *pixel = fill;
            }
        }
    }
}

struct Frame {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    fill: [u8; 3],
}

/// Returns the bytes of a colour table, and the rest.
fn split_table(rest: &[u8], flags: u8) -> Option<(&[u8], &[u8])> {
    let length = if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    rest.split_at_checked(length)
}

fn first_frame(file: &[u8]) -> Option<Frame> {
    const EXTENSION: u8 = 0x21;
    const GRAPHIC_CONTROL: u8 = 0xF9;
    const IMAGE: u8 = 0x2C;
    let (header, rest) = file.split_first_chunk::<13>()?;
    let (global, mut rest) = split_table(rest, header[10])?;
    let mut transparent = None;
    loop {
        match *rest {
            [EXTENSION, label, ref blocks @ ..] => {
                if label == GRAPHIC_CONTROL
                    && let [_, flags, _, _, index, ..] = *blocks
                {
                    transparent = (flags & 1 == 1).then_some(index);
                }
                rest = blocks;
                // Blocks begin with their length. An empty one is the last.
                loop {
                    let (&length, after) = rest.split_first()?;
                    rest = after.get(usize::from(length)..)?;
                    if length == 0 {
                        break;
                    }
                }
            }
            [IMAGE, x0, x1, y0, y1, w0, w1, h0, h1, flags, ref after @ ..] => {
                let [left, top, width, height] =
                    [[x0, x1], [y0, y1], [w0, w1], [h0, h1]].map(|word| usize::from(u16::from_le_bytes(word)));
                let (local, _) = split_table(after, flags)?;
                let table = if local.is_empty() { global } else { local };
                let index = usize::from(transparent.unwrap_or(0));
                let fill = table.as_chunks().0.get(index).copied().unwrap_or_default();
                return Some(Frame { left, top, right: left + width, bottom: top + height, fill });
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, decode};

    /// Pillow 13 gives the same pixels.
    #[test]
    fn fills_the_canvas_around_the_frame() {
        let header = b"GIF89a\x04\0\x03\0\x81\0\0";
        let table = [[9, 8, 7], [50, 60, 70], [1, 2, 3], [4, 5, 6]].concat();
        let control = |flags| [0x21, 0xF9, 4, flags, 0, 0, 2, 0];
        // A frame of 2x1 pixels at (1, 2), both with colour 1.
        let image = b"\x2C\x01\0\x02\0\x02\0\x01\0\0\x02\x02\x4C\x0A\0\x3B";
        for (flags, fill) in [(0, [9, 8, 7]), (1, [1, 2, 3])] {
            let file = [header.as_slice(), &table, &control(flags), image].concat();
            let decoded = decode(&file, &Limits::default()).unwrap();
            let mut expected = [fill; 12];
            expected[9..11].fill([50, 60, 70]);
            assert_eq!(decoded.rgb.data(), expected.as_flattened());
        }
    }
}
