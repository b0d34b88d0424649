//! The compression settings of a JPEG, read from its markers (ITU-T T.81, annex B).

use artifacts::hash::Digest;
use serde::{Deserialize, Serialize};

use super::{Segment, segments};

/// The compression settings of a JPEG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compression {
    /// The width in pixels, before EXIF orientation.
    pub width: u16,
    /// The height in pixels, before EXIF orientation. 0 if the file defines it after its first scan.
    pub height: u16,
    /// The quality, 1 to 100, for which libjpeg's luminance table is closest to the one in the file.
    pub quality: u8,
    /// The mean absolute difference of the luminance table from libjpeg's at that quality, rounded up to whole levels;
    /// 0 if the table is one of libjpeg's.
    pub distance: u16,
    /// A hash of all quantisation tables and their order.
    pub tables: u32,
    /// The number of quantisation tables.
    pub table_count: u8,
    /// The number of colour components: 1 for grey, 3 for YCbCr.
    pub components: u8,
    /// The horizontal (upper four bits) and vertical (lower four bits) sampling factor of the first component: 0x22 is
    /// 4:2:0 if the other components have factors of 1.
    pub sampling: u8,
    /// Whether the JPEG is progressive.
    pub progressive: bool,
    /// Whether a Huffman table differs from the examples of annex K.3, because the encoder optimised it.
    pub optimised: bool,
    /// The number of blocks between restart markers; 0 if there are none.
    pub restart_interval: u16,
}

const HUFFMAN: u8 = 0xc4;
const QUANTISATION: u8 = 0xdb;
/// Start of frame of progressive JPEGs: Huffman and arithmetic coding, each also as the difference to another frame.
const PROGRESSIVE: [u8; 4] = [0xc2, 0xc6, 0xca, 0xce];
const RESTART_INTERVAL: u8 = 0xdd;

impl Compression {
    /// Reads the tables and the frame header of a JPEG. `None` if they do not precede the first scan.
    pub fn read(file: &[u8]) -> Option<Compression> {
        let mut tables = Digest::default();
        let mut table_count = 0_u8;
        let mut luminance = None;
        let mut frame = None;
        let mut optimised = false;
        let mut restart_interval = 0;
        for Segment { marker, data } in segments(file) {
            match marker {
                QUANTISATION => {
                    tables = tables.part("table", data);
                    table_count = count_tables(data).saturating_add(table_count);
                    luminance = luminance.or_else(|| first_table(data));
                }
                HUFFMAN => optimised |= !has_standard_codes(data),
                RESTART_INTERVAL => restart_interval = data.first_chunk().map_or(0, |two| u16::from_be_bytes(*two)),
                // Start of frame. 0xc8 and 0xcc are other markers.
                0xc0..=0xcf if !matches!(marker, 0xc8 | 0xcc) => frame = Some((marker, *data.first_chunk::<8>()?)),
                _ => {}
            }
        }
        // Sample precision, height, width, number of components; identifier and sampling of the first component.
        let (marker, [_, h0, h1, w0, w1, components, _, sampling]) = frame?;
        let hash = tables.finish();
        let [a, b, c, d, ..] = *hash.as_bytes();
        let (quality, distance) = quality(&luminance?);
        Some(Compression {
            width: u16::from_be_bytes([w0, w1]),
            height: u16::from_be_bytes([h0, h1]),
            quality,
            distance,
            tables: u32::from_le_bytes([a, b, c, d]),
            table_count,
            components,
            sampling,
            progressive: PROGRESSIVE.contains(&marker),
            optimised,
            restart_interval,
        })
    }

    /// Returns the chroma subsampling in the usual notation, or as sampling factors.
    pub fn sampling_name(self) -> String {
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

/// Counts the quantisation tables of a segment.
fn count_tables(mut data: &[u8]) -> u8 {
    let mut count = 0_u8;
    while let Some((&head, _)) = data.split_first() {
        // An entry has one byte, or two at 16-bit precision.
        let length = if head >> 4 == 0 { 65 } else { 129 };
        let Some(rest) = data.get(length..) else { break };
        count = count.saturating_add(1);
        data = rest;
    }
    count
}

/// The numbers of codes of each length, 1 to 16 bits, in the tables K.3 to K.6 of T.81.
const STANDARD_CODES: [[u8; 16]; 4] = [
    [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
    [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
];

/// Whether all Huffman tables of a segment have the code lengths of the standard's examples.
fn has_standard_codes(mut data: &[u8]) -> bool {
    while let Some(counts) = data.get(1..).and_then(|data| data.first_chunk::<16>()) {
        if !STANDARD_CODES.contains(counts) {
            return false;
        }
        let codes: usize = counts.iter().map(|&count| usize::from(count)).sum();
        data = data.get(17 + codes..).unwrap_or_default();
    }
    true
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
/// from `table`, and the mean of these differences, rounded up.
fn quality(table: &[u16; 64]) -> (u8, u16) {
    let distance = |quality: &u8| -> u32 {
        let quality = u32::from(*quality);
        let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let scaled = |entry: u16| ((u32::from(entry) * scale + 50) / 100).clamp(1, 255);
        LUMINANCE.iter().zip(table).map(|(&entry, &found)| scaled(entry).abs_diff(u32::from(found))).sum()
    };
    let quality = (1..=100).min_by_key(distance).unwrap_or(100);
    (quality, distance(&quality).div_ceil(64).min(u32::from(u16::MAX)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RgbImage;
    use crate::encode::{self, Subsampling};

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
    fn reads_size_and_tables() {
        let read = Compression::read(&file(80, Subsampling::Full)).unwrap();
        assert_eq!((read.width, read.height, read.components), (24, 16, 3));
        assert_eq!((read.table_count, read.distance, read.restart_interval), (2, 0, 0));
        assert!(!read.optimised);
        let mut custom = file(80, Subsampling::Full);
        // The first entry of the first table.
        let table = custom.windows(2).position(|pair| pair == [0xff, QUANTISATION]).unwrap() + 5;
        custom[table] += 1;
        assert_eq!(Compression::read(&custom).unwrap().distance, 1);
        // The number of codes of two bits in the first Huffman table.
        let codes = custom.windows(2).position(|pair| pair == [0xff, HUFFMAN]).unwrap() + 6;
        custom[codes] += 1;
        assert!(Compression::read(&custom).unwrap().optimised);
    }

    #[test]
    fn recognises_every_kind_of_progressive_frame() {
        let baseline = file(80, Subsampling::Half);
        let marker = baseline.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap() + 1;
        for (code, progressive) in
            [(0xc0, false), (0xc1, false), (0xc2, true), (0xc6, true), (0xca, true), (0xce, true)]
        {
            let mut changed = baseline.clone();
            changed[marker] = code;
            assert_eq!(Compression::read(&changed).unwrap().progressive, progressive, "{code:x}");
        }
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
