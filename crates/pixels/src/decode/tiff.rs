//! Kinds of TIFFs that are rejected before decoding.

use super::DecodeError;
use crate::metadata::ByteOrder;

/// Rejects a TIFF whose first image is only a preview, and layouts with which the decoder panics.
pub(super) fn check(file: &[u8]) -> Result<(), DecodeError> {
    const SUBFILE_TYPE: u16 = 254;
    const COMPRESSION: u16 = 259;
    const SAMPLES_PER_PIXEL: u16 = 277;
    const PLANAR_CONFIGURATION: u16 = 284;
    const TILE_WIDTH: u16 = 322;
    let value = |tag| value(file, tag);
    // Camera raw files, e.g. DNG, NEF and ARW, begin with a preview.
    if value(SUBFILE_TYPE).is_some_and(|kind| kind & 1 == 1) {
        let why = "the first image of the TIFF is a preview, as in camera raw files; convert it to PNG or JPEG";
        return Err(DecodeError::Unsupported(why.into()));
    }
    // The compressions of NEF, of ARW, of KDC and DCR, and of PEF.
    if matches!(value(COMPRESSION), Some(34713 | 32767 | 32769 | 65000 | 65535)) {
        let why = "the TIFF is a camera raw file (e.g. NEF, ARW or PEF); convert it to PNG or JPEG";
        return Err(DecodeError::Unsupported(why.into()));
    }
    let has_planes = value(PLANAR_CONFIGURATION) == Some(2) && value(SAMPLES_PER_PIXEL).is_some_and(|count| count > 1);
    if has_planes && value(TILE_WIDTH).is_some() {
        let why = "a TIFF with tiles and a separate plane for each colour is not read; convert it to PNG";
        return Err(DecodeError::Unsupported(why.into()));
    }
    Ok(())
}

/// Returns the first value of an integer tag in the first directory (TIFF 6.0, section 2).
fn value(file: &[u8], tag: u16) -> Option<usize> {
    const SHORT: u16 = 3;
    let order = ByteOrder::of(file)?;
    let directory = order.u32(file, 4)?;
    let count = usize::from(order.u16(file, directory)?);
    let entries = (0..count).filter_map(|entry| directory.checked_add(2 + 12 * entry));
    let entry = entries.take_while(|&at| at < file.len()).find(|&at| order.u16(file, at) == Some(tag))?;
    match order.u16(file, entry + 2)? {
        SHORT => order.u16(file, entry + 8).map(usize::from),
        _ => order.u32(file, entry + 8),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Limits, decode};

    /// A grey TIFF of one pixel with the value 77. `tags` are added, or replace those of the image.
    fn tiff(tags: &[(u16, u16)]) -> Vec<u8> {
        const PIXEL_AT: u16 = 8;
        // Width, height, bits, compression, colour, offset of the strip, samples, rows, bytes of the strip.
        let image = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, PIXEL_AT), (277, 1), (278, 1), (279, 1)];
        let all: BTreeMap<u16, u16> = image.into_iter().chain(tags.iter().copied()).collect();
        let mut file = b"MM\0*\0\0\0\x0a\x4d\0".to_vec();
        file.extend((all.len() as u16).to_be_bytes());
        for (tag, value) in all {
            for word in [tag, 3, 0, 1, value, 0] {
                file.extend(word.to_be_bytes());
            }
        }
        file.extend([0; 4]);
        file
    }

    #[test]
    fn rejects_previews_and_tiled_planes() {
        let cases = [
            (&[(254, 1)][..], "preview"),
            (&[(259, 65535)], "camera raw"),
            (&[(259, 34713)], "camera raw"),
            (&[(254, 0), (277, 3), (284, 2), (322, 16)], "tiles"),
        ];
        for (tags, why) in cases {
            // Not `check`: its call must not be lost.
            match decode(&tiff(tags), &Limits::default()) {
                Err(DecodeError::Unsupported(text)) => {
                    assert!(text.contains(why) && text.contains("; convert it to PNG"), "{tags:?}: {text}");
                }
                other => panic!("{tags:?}: {other:?}"),
            }
        }
        for tags in [&[][..], &[(254, 0)], &[(254, 2)], &[(284, 2)]] {
            let decoded = decode(&tiff(tags), &Limits::default()).unwrap();
            assert_eq!(decoded.rgb.data(), [77; 3], "{tags:?}");
        }
    }

    #[test]
    fn accepts_other_layouts_cut_anywhere() {
        for tags in [&[][..], &[(277, 3), (284, 2)], &[(277, 3), (284, 1), (322, 16)], &[(284, 2), (322, 16)]] {
            let file = tiff(tags);
            for length in 0..=file.len() {
                assert_eq!(check(&file[..length]), Ok(()), "{tags:?}");
            }
        }
    }
}
