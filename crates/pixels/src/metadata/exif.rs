//! The presence of EXIF fields, and their text.
//!
//! The reader looks for a few well-known tags of TIFF 6.0 and EXIF 2.32.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::directory::{ByteOrder, all_entries};
use super::encoding;

/// The fields that are read: tag number and name.
pub const FIELDS: [(u16, &str); 10] = [
    (0x010f, "make"),
    (0x0110, "model"),
    (0x0112, "orientation"),
    (0x0131, "software"),
    (0x829a, "exposure time"),
    (0x829d, "aperture"),
    (0x8825, "position"),
    (0x8827, "sensitivity"),
    (0x9003, "date taken"),
    (USER_COMMENT, "user comment"),
];

const USER_COMMENT: u16 = 0x9286;

/// A set of EXIF fields: a bit for each of [`FIELDS`], and a bit for the presence of EXIF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exif(u16);

const PRESENT: u16 = 1 << FIELDS.len();

impl Exif {
    /// Reads a TIFF structure: the data after `Exif\0\0` in a JPEG, or the `eXIf` chunk of a PNG. Stops at damaged data
    /// and keeps the fields found before.
    pub(super) fn read(tiff: &[u8]) -> Exif {
        let fields = all_entries(tiff).filter_map(|entry| FIELDS.iter().position(|field| field.0 == entry.tag));
        Exif(fields.fold(PRESENT, |bits, field| bits | 1 << field))
    }

    /// Whether the file has EXIF.
    pub fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }

    /// Whether the file has the field with this index in [`FIELDS`].
    pub fn has(self, field: usize) -> bool {
        self.0 & (1 << field) != 0
    }
}

/// Calls `found` for the text of each field of a TIFF structure in which generators write their parameters.
pub(super) fn visit_texts(tiff: &[u8], found: &mut dyn FnMut(&str)) {
    visit_tagged_texts(tiff, &mut |_, text| found(text));
}

/// Calls `found` for tag and text of each such field.
pub(super) fn visit_tagged_texts(tiff: &[u8], found: &mut dyn FnMut(u16, &str)) {
    const IMAGE_DESCRIPTION: u16 = 0x010e;
    const MAKE: u16 = 0x010f;
    const MODEL: u16 = 0x0110;
    /// A comment of Windows in UTF-16.
    const XP_COMMENT: u16 = 0x9c9c;
    const TAGS: [u16; 5] = [IMAGE_DESCRIPTION, MAKE, MODEL, XP_COMMENT, USER_COMMENT];
    let mut read = [false; TAGS.len()];
    for entry in all_entries(tiff) {
        // A tag counts once, because many entries that share a long value would take hours.
        let Some(index) = TAGS.iter().position(|tag| *tag == entry.tag) else { continue };
        if std::mem::replace(&mut read[index], true) {
            continue;
        }
        let Some(value) = entry.bytes() else { continue };
        match entry.tag {
            IMAGE_DESCRIPTION | MAKE | MODEL => found(entry.tag, &String::from_utf8_lossy(until_zero(value))),
            XP_COMMENT => found(entry.tag, &encoding::utf16(value, ByteOrder::Little)),
            USER_COMMENT => found(entry.tag, &user_comment(value, ByteOrder::of(tiff).unwrap_or(ByteOrder::Big))),
            _ => {}
        }
    }
}

/// The fields of the camera that are shown: tag, name, and the unit of a number.
const CAMERA: [(u16, &str, &str); 9] = [
    (0x010f, "make", ""),
    (0x0110, "model", ""),
    (0x0131, "software", ""),
    (0x9003, "date taken", ""),
    (0x829a, "exposure time", " s"),
    (0x829d, "aperture", ""),
    (0x8827, "sensitivity", ""),
    (0x920a, "focal length", " mm"),
    (0xa434, "lens", ""),
];

/// The largest number of characters of a camera field. Longer ones are no camera's.
const MAX_CAMERA: usize = 100;

/// Calls `found` for name and value of each field of the camera in a TIFF structure.
pub(super) fn visit_camera(tiff: &[u8], found: &mut dyn FnMut(&'static str, String)) {
    let order = ByteOrder::of(tiff).unwrap_or(ByteOrder::Big);
    for entry in all_entries(tiff) {
        let Some((_, name, unit)) = CAMERA.iter().find(|(tag, ..)| *tag == entry.tag) else { continue };
        let Some(value) = entry.bytes() else { continue };
        let number = |at: usize| order.u32(value, at);
        let text = match entry.tag {
            0x829a | 0x829d | 0x920a => number(0).zip(number(4)).and_then(|(over, under)| ratio(over, under, unit)),
            0x8827 => order.u16(value, 0).map(|value| format!("ISO {value}")),
            _ => Some(String::from_utf8_lossy(until_zero(value)).trim().to_owned()),
        };
        let shown = text.filter(|text| !text.is_empty() && text.chars().count() <= MAX_CAMERA);
        if let Some(text) = shown {
            found(name, text);
        }
    }
}

/// Formats a rational number: exposure times below a second as a fraction.
fn ratio(over: usize, under: usize, unit: &str) -> Option<String> {
    if over == 0 || under == 0 {
        return None;
    }
    let value = over as f64 / under as f64;
    if unit == " s" && value < 0.5 {
        return Some(format!("1/{:.0} s", 1.0 / value));
    }
    let number = format!("{value:.1}");
    let number = number.strip_suffix(".0").unwrap_or(&number);
    Some(if unit.is_empty() { format!("f/{number}") } else { format!("{number}{unit}") })
}

/// Decodes a user comment, which begins with the name of its encoding (EXIF 2.32, section 4.6.5).
fn user_comment(value: &[u8], order: ByteOrder) -> Cow<'_, str> {
    match value.split_first_chunk::<8>() {
        Some((b"UNICODE\0", text)) => Cow::Owned(encoding::utf16(text, likely_order(text).unwrap_or(order))),
        Some((b"ASCII\0\0\0" | b"JIS\0\0\0\0\0" | &[0, 0, 0, 0, 0, 0, 0, 0], text)) => {
            String::from_utf8_lossy(until_zero(text))
        }
        _ => String::from_utf8_lossy(until_zero(value)),
    }
}

/// Determines the byte order of UTF-16 from its zero bytes. Programs do not agree whether it is that of the structure.
fn likely_order(text: &[u8]) -> Option<ByteOrder> {
    let (pairs, _) = text.as_chunks::<2>();
    let zeros = |side: usize| pairs.iter().filter(|pair| pair[side] == 0 && pair[1 - side] != 0).count();
    match zeros(0).cmp(&zeros(1)) {
        std::cmp::Ordering::Greater => Some(ByteOrder::Big),
        std::cmp::Ordering::Less => Some(ByteOrder::Little),
        std::cmp::Ordering::Equal => None,
    }
}

fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{tiff_of_tags, tiff_of_values};
    use super::*;

    fn names(exif: Exif) -> Vec<&'static str> {
        (0..FIELDS.len()).filter(|field| exif.has(*field)).map(|field| FIELDS[field].1).collect()
    }

    #[test]
    fn finds_fields_of_both_directories() {
        let exif = Exif::read(&tiff_of_tags(&[0x010f, 0x0112, 0x8769], &[0x829a, 0x8827]));
        assert!(exif.is_present());
        assert_eq!(names(exif), ["make", "orientation", "exposure time", "sensitivity"]);
        assert!(!Exif::default().is_present());
    }

    #[test]
    fn stops_at_damaged_data() {
        let whole = tiff_of_tags(&[0x010f, 0x8769], &[0x829a]);
        for length in 0..whole.len() {
            assert!(Exif::read(&whole[..length]).is_present());
        }
        // A directory that refers to itself is read at most twice.
        let mut circle = tiff_of_tags(&[0x8769], &[]);
        circle[8 + 2 + 8..8 + 2 + 12].copy_from_slice(&8_u32.to_be_bytes());
        assert_eq!(names(Exif::read(&circle)), Vec::<&str>::new());
    }

    #[test]
    fn decodes_text_in_every_encoding() {
        let texts = |values: &[(u16, &[u8])]| {
            let mut texts = Vec::new();
            visit_texts(&tiff_of_values(values), &mut |text| texts.push(text.to_owned()));
            texts
        };
        let big: Vec<u8> = "grün".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let little: Vec<u8> = "grün".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for comment in [
            [b"UNICODE\0".as_slice(), &big].concat(),
            [b"UNICODE\0".as_slice(), &little].concat(),
            [b"ASCII\0\0\0".as_slice(), "grün\0\0".as_bytes()].concat(),
            [[0; 8].as_slice(), "grün".as_bytes()].concat(),
            "grün".as_bytes().to_vec(),
        ] {
            assert_eq!(texts(&[(USER_COMMENT, &comment)]), ["grün"], "{comment:?}");
        }
        assert_eq!(texts(&[(0x010e, b"a picture\0"), (0x9c9c, &little)]), ["a picture", "grün"]);
        assert_eq!(texts(&[(0x0131, b"a program\0")]), Vec::<String>::new());
        assert_eq!(texts(&[(0x010e, b"first"), (0x010e, b"second")]), ["first"]);
    }
}
