//! The compression settings of a JPEG, read from its markers (ITU-T T.81, annex B).

use artifacts::hash::Digest;
use pixels::metadata::{Segment, segments};

/// The compression settings of a JPEG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compression {
    /// The quality, 1 to 100, for which libjpeg's luminance table is closest to the one in the file.
    pub(super) quality: u8,
    /// A hash of all quantisation tables and their order.
    pub(super) tables: u32,
    /// The horizontal (upper four bits) and vertical (lower four bits) sampling factor of the first component: 0x22 is
    /// 4:2:0 if the other components have factors of 1.
    pub(super) sampling: u8,
    /// Whether the JPEG is progressive.
    pub(super) progressive: bool,
}

const QUANTISATION: u8 = 0xdb;
const PROGRESSIVE: u8 = 0xc2;

impl Compression {
    /// Reads the tables and the frame header of a JPEG. `None` if they do not precede the first scan.
    pub(super) fn read(file: &[u8]) -> Option<Compression> {
        let mut tables = Digest::default();
        let mut luminance = None;
        let mut frame = None;
        for Segment { marker, data } in segments(file) {
            match marker {
                QUANTISATION => {
                    tables = tables.part("table", data);
                    luminance = luminance.or_else(|| first_table(data));
                }
                // Start of frame. 0xc4, 0xc8 and 0xcc are other markers.
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => frame = Some((marker, *data.get(7)?)),
                _ => {}
            }
        }
        let (marker, sampling) = frame?;
        let hash = tables.finish();
        let [a, b, c, d, ..] = *hash.as_bytes();
        Some(Compression {
            quality: quality(&luminance?),
            tables: u32::from_le_bytes([a, b, c, d]),
            sampling,
            progressive: marker == PROGRESSIVE,
        })
    }

    /// Returns the chroma subsampling in the usual notation, or as sampling factors.
    pub(super) fn sampling_name(self) -> String {
        match self.sampling {
            0x11 => "4:4:4".to_owned(),
            0x21 => "4:2:2".to_owned(),
            0x22 => "4:2:0".to_owned(),
            0x41 => "4:1:1".to_owned(),
            0x12 => "4:4:0".to_owned(),
            other => format!("factors {}x{}", other >> 4, other & 15),
        }
    }
}

/// Reads the first table of a segment, in zigzag order. Entries have one byte, or two at 16-bit precision.
fn first_table(data: &[u8]) -> Option<[u16; 64]> {
    let (&head, entries) = data.split_first()?;
    let mut table = [0; 64];
    for (i, entry) in table.iter_mut().enumerate() {
        *entry = match head >> 4 {
            0 => u16::from(*entries.get(i)?),
            _ => u16::from_be_bytes(*entries.get(2 * i..)?.first_chunk()?),
        };
    }
    Some(table)
}

/// The luminance table of T.81, annex K.1, in zigzag order.
const LUMINANCE: [u16; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
];

/// Returns the quality for which the standard table, scaled as in libjpeg, has the smallest sum of absolute differences
/// from `table`.
fn quality(table: &[u16; 64]) -> u8 {
    let distance = |quality: &u8| -> u32 {
        let quality = u32::from(*quality);
        let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let scaled = |entry: u16| ((u32::from(entry) * scale + 50) / 100).clamp(1, 255);
        LUMINANCE.iter().zip(table).map(|(&entry, &found)| scaled(entry).abs_diff(u32::from(found))).sum()
    };
    (1..=100).min_by_key(distance).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use pixels::RgbImage;
    use pixels::encode::{self, Subsampling};

    use super::*;

    fn file(quality: u8, subsampling: Subsampling) -> Vec<u8> {
        let image = RgbImage::from_fn(24, 16, |x, y| [(x * 9) as u8, (y * 13) as u8, 90]);
        encode::jpeg(&image, quality, subsampling).unwrap()
    }

    #[test]
    fn reads_quality_and_subsampling() {
        for quality in [10, 49, 50, 75, 90, 95] {
            let read = Compression::read(&file(quality, Subsampling::Quarter)).unwrap();
            assert_eq!((read.quality, read.progressive), (quality, false));
            assert_eq!(read.sampling_name(), "4:2:0");
        }
        let read = Compression::read(&file(80, Subsampling::Full)).unwrap();
        assert_eq!(read.sampling_name(), "4:4:4");
        assert_ne!(read.tables, Compression::read(&file(81, Subsampling::Full)).unwrap().tables);
    }

    #[test]
    fn does_not_panic_on_damaged_files() {
        let whole = file(80, Subsampling::Half);
        for length in 0..whole.len().min(700) {
            let _ = Compression::read(&whole[..length]);
            let mut broken = whole.clone();
            broken[length] ^= 0xff;
            let _ = Compression::read(&broken);
        }
        assert_eq!(Compression::read(b"\xff\xd8\xff\xdb\0\0"), None);
        assert_eq!(Compression::read(b"\xff\xd8\xff"), None);
    }
}
