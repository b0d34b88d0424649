//! The presence of EXIF fields.
//!
//! The reader looks for a few well-known tags of TIFF 6.0 and EXIF 2.32. It does not interpret their values, which
//! limits what a malicious file can do.

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
    (0x9286, "user comment"),
];

/// A set of EXIF fields: a bit for each of [`FIELDS`], and a bit for the presence of EXIF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exif(u16);

const PRESENT: u16 = 1 << FIELDS.len();

impl Exif {
    /// Reads a TIFF structure: the data after `Exif\0\0` in a JPEG, or the `eXIf` chunk of a PNG. Stops at damaged data
    /// and keeps the fields found before.
    pub(super) fn read(tiff: &[u8]) -> Exif {
        let mut exif = Exif(PRESENT);
        let Some(order) = ByteOrder::of(tiff) else { return exif };
        let mut directories: Vec<usize> = order.u32(tiff, 4).into_iter().collect();
        // Only two directories are read, the first one and the EXIF directory, so that a circular structure cannot
        // cause an endless loop.
        for _ in 0..2 {
            let Some(directory) = directories.pop() else { break };
            exif.read_directory(tiff, order, directory, &mut directories);
        }
        exif
    }

    /// Records the tags of an image file directory, which consists of a count and entries of 12 bytes.
    fn read_directory(&mut self, tiff: &[u8], order: ByteOrder, start: usize, directories: &mut Vec<usize>) {
        const EXIF_DIRECTORY: u16 = 0x8769;
        let Some(entries) = order.u16(tiff, start) else { return };
        for entry in 0..usize::from(entries) {
            let Some(at) = start.checked_add(2 + 12 * entry) else { return };
            let Some(tag) = order.u16(tiff, at) else { return };
            if let Some(bit) = FIELDS.iter().position(|field| field.0 == tag) {
                self.0 |= 1 << bit;
            } else if tag == EXIF_DIRECTORY {
                directories.extend(order.u32(tiff, at + 8));
            }
        }
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

/// The byte order of a TIFF structure.
#[derive(Clone, Copy)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// Reads the byte order from the first bytes.
    pub(crate) fn of(tiff: &[u8]) -> Option<ByteOrder> {
        match tiff.get(..4)? {
            b"II*\0" => Some(ByteOrder::Little),
            b"MM\0*" => Some(ByteOrder::Big),
            _ => None,
        }
    }

    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let word = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            ByteOrder::Little => u16::from_le_bytes(word),
            ByteOrder::Big => u16::from_be_bytes(word),
        })
    }

    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> Option<usize> {
        let word = *bytes.get(at..)?.first_chunk()?;
        let value = match self {
            ByteOrder::Little => u32::from_le_bytes(word),
            ByteOrder::Big => u32::from_be_bytes(word),
        };
        usize::try_from(value).ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a big-endian TIFF structure with two directories of these tags. The value of each tag in the first
    /// directory is the offset of the second.
    pub(in crate::metadata) fn tiff(first: &[u16], second: &[u16]) -> Vec<u8> {
        let directory = |tags: &[u16], value: u32| {
            let mut bytes = (tags.len() as u16).to_be_bytes().to_vec();
            for tag in tags {
                bytes.extend(tag.to_be_bytes());
                bytes.extend([0, 4, 0, 0, 0, 1]);
                bytes.extend(value.to_be_bytes());
            }
            bytes.extend([0; 4]);
            bytes
        };
        let mut bytes = b"MM\0*\0\0\0\x08".to_vec();
        let second_start = 8 + 2 + 12 * first.len() as u32 + 4;
        bytes.extend(directory(first, second_start));
        bytes.extend(directory(second, 0));
        bytes
    }

    fn names(exif: Exif) -> Vec<&'static str> {
        (0..FIELDS.len()).filter(|field| exif.has(*field)).map(|field| FIELDS[field].1).collect()
    }

    #[test]
    fn finds_fields_of_both_directories() {
        let exif = Exif::read(&tiff(&[0x010f, 0x0112, 0x8769], &[0x829a, 0x8827]));
        assert!(exif.is_present());
        assert_eq!(names(exif), ["make", "orientation", "exposure time", "sensitivity"]);
        assert!(!Exif::default().is_present());
    }

    #[test]
    fn stops_at_damaged_data() {
        let whole = tiff(&[0x010f, 0x8769], &[0x829a]);
        for length in 0..whole.len() {
            assert!(Exif::read(&whole[..length]).is_present());
        }
        // A directory that refers to itself is read at most twice.
        let mut circle = tiff(&[0x8769], &[]);
        circle[8 + 2 + 8..8 + 2 + 12].copy_from_slice(&8_u32.to_be_bytes());
        assert_eq!(names(Exif::read(&circle)), Vec::<&str>::new());
    }
}
