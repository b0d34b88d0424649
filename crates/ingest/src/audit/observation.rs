//! The properties of a file that the audit uses. They take less than 1 kB per file.

use artifacts::{Label, Split};
use pixels::metadata::{Compression, Metadata};
use pixels::{Decoded, Format, RgbImage};
use serde::{Deserialize, Serialize};

use super::thumbnail::{COLOUR_SIDE, GREY_SIDE, Thumbnail};

/// The number of levels of each channel in the colour histogram.
pub(super) const LEVELS: usize = 4;

/// The properties of one file that the audit uses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observation {
    pub(super) label: Label,
    pub(super) split: Split,
    pub(super) format: Format,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) file_bytes: u64,
    pub(super) compression: Option<Compression>,
    pub(super) metadata: Metadata,
    /// Luma, `[GREY_SIDE, GREY_SIDE]`.
    #[serde(with = "base64_bytes")]
    pub(super) grey: [u8; GREY_SIDE * GREY_SIDE],
    /// RGB, `[COLOUR_SIDE, COLOUR_SIDE, 3]`.
    #[serde(with = "base64_bytes")]
    pub(super) colour: [u8; COLOUR_SIDE * COLOUR_SIDE * 3],
    /// The share of the pixels in each cell of the colour cube, in units of 1/65535.
    #[serde(with = "base64_bytes")]
    pub(super) histogram: [u16; LEVELS * LEVELS * LEVELS],
}

impl Observation {
    /// Extracts the properties of a file and of the image decoded from it.
    pub fn new(file: &[u8], decoded: &Decoded, label: Label, split: Split) -> Observation {
        let thumbnail = Thumbnail::of(&decoded.rgb);
        Observation {
            label,
            split,
            format: decoded.format,
            width: decoded.width,
            height: decoded.height,
            file_bytes: file.len() as u64,
            compression: if decoded.format == Format::Jpeg { Compression::read(file) } else { None },
            metadata: Metadata::read(file, decoded.format),
            grey: thumbnail.grey(),
            colour: thumbnail.colour(),
            histogram: histogram(&decoded.rgb),
        }
    }

    /// The same properties for a file of another label and split.
    pub(crate) fn with_label(self, label: Label, split: Split) -> Observation {
        Observation { label, split, ..self }
    }

    /// Removes EXIF and the declarations of how the image was made.
    pub fn without_metadata(self) -> Observation {
        Observation { metadata: Metadata::default(), ..self }
    }
}

/// Arrays of numbers as text: base64 of their bytes in little-endian order.
mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use bytemuck::Pod;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    const _: () = assert!(cfg!(target_endian = "little"), "numbers are stored as they are in memory");

    pub(super) fn serialize<T: Pod, S: Serializer>(array: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytemuck::bytes_of(array)))
    }

    pub(super) fn deserialize<'de, T: Pod, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        bytemuck::try_pod_read_unaligned(&bytes)
            .map_err(|_| D::Error::custom(format!("{} bytes instead of {}", bytes.len(), size_of::<T>())))
    }
}

/// Computes the colour histogram from at most 16,383 evenly spaced pixels, so that the time does not grow with the
/// image.
fn histogram(image: &RgbImage) -> [u16; LEVELS * LEVELS * LEVELS] {
    const SAMPLES: usize = 1 << 13;
    let (pixels, _) = image.data().as_chunks::<3>();
    // The step is odd so that the pixels of an image of even width are not all in the same columns.
    let step = (pixels.len() / SAMPLES) | 1;
    let level = |value: u8| usize::from(value) * LEVELS / 256;
    let mut counts = [0_u32; LEVELS * LEVELS * LEVELS];
    let mut total = 0;
    for [red, green, blue] in pixels.iter().step_by(step) {
        counts[(level(*red) * LEVELS + level(*green)) * LEVELS + level(*blue)] += 1;
        total += 1;
    }
    counts.map(|count| (count * u32::from(u16::MAX) / total) as u16)
}

#[cfg(test)]
mod tests {
    use pixels::encode::{self, Subsampling};
    use pixels::{Limits, decode};

    use super::*;

    #[test]
    fn extracts_properties_of_file_and_image() {
        let image = RgbImage::from_fn(60, 40, |x, _| if x < 30 { [255, 0, 0] } else { [0, 0, 255] });
        let file = encode::jpeg(&image, 90, Subsampling::Full).unwrap();
        let decoded = decode(&file, &Limits::default()).unwrap();
        let seen = Observation::new(&file, &decoded, Label::Real, Split::Train);
        assert_eq!((seen.width, seen.height, seen.file_bytes), (60, 40, file.len() as u64));
        assert_eq!(seen.compression.unwrap().quality, 90);
        assert!(seen.grey[0].abs_diff(76) < 4 && seen.grey[GREY_SIDE - 1].abs_diff(29) < 4);
        assert!(seen.colour[0] > 245 && seen.colour[3 * COLOUR_SIDE - 1] > 245);
        let total: u32 = seen.histogram.iter().map(|&share| u32::from(share)).sum();
        assert!((65_000..=65_535).contains(&total), "{total}");
    }

    #[test]
    fn survives_json() {
        let image = RgbImage::from_fn(60, 40, |x, y| [x as u8, y as u8, 7]);
        let file = encode::jpeg(&image, 90, Subsampling::Full).unwrap();
        let seen = Observation::new(&file, &decode(&file, &Limits::default()).unwrap(), Label::Fake, Split::Val);
        let text = serde_json::to_string(&seen).unwrap();
        let read: Observation = serde_json::from_str(&text).unwrap();
        assert_eq!(format!("{read:?}"), format!("{seen:?}"));
        let short = text.replacen("\"grey\":\"", "\"grey\":\"AAAA", 1);
        let message = serde_json::from_str::<Observation>(&short).unwrap_err().to_string();
        assert!(message.contains("579 bytes instead of 576"), "{message}");
    }

    #[test]
    fn an_observation_is_small() {
        assert!(size_of::<Observation>() < 1024, "{}", size_of::<Observation>());
    }
}
