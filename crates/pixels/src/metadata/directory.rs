//! Image file directories of TIFF structures (TIFF 6.0, section 2), which EXIF has too.

/// The byte order of a TIFF structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// An entry of a directory.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) tag: u16,
    tiff: &'a [u8],
    order: ByteOrder,
    /// The position of the entry.
    at: usize,
}

impl<'a> Entry<'a> {
    /// Reads the value as an offset into the structure.
    pub(crate) fn offset(self) -> Option<usize> {
        self.order.u32(self.tiff, self.at + 8)
    }

    /// Returns the first number of the value. `None` if it is not an unsigned integer.
    pub(crate) fn number(self) -> Option<usize> {
        let bytes = self.bytes()?;
        match self.order.u16(self.tiff, self.at + 2)? {
            1 | 7 => bytes.first().map(|&byte| usize::from(byte)),
            3 => self.order.u16(bytes, 0).map(usize::from),
            4 => self.order.u32(bytes, 0),
            _ => None,
        }
    }

    /// Returns the bytes of the value. `None` if it lies outside the structure or has an unknown type.
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        let size = match self.order.u16(self.tiff, self.at + 2)? {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => return None,
        };
        let length = self.order.u32(self.tiff, self.at + 4)?.checked_mul(size)?;
        // Short values are in the entry itself.
        let start = if length <= 4 { self.at + 8 } else { self.offset()? };
        self.tiff.get(start..start.checked_add(length)?)
    }
}

/// Iterates over the entries of the directory at `start`.
pub(crate) fn entries(tiff: &[u8], order: ByteOrder, start: usize) -> impl Iterator<Item = Entry<'_>> {
    let count = usize::from(order.u16(tiff, start).unwrap_or(0));
    let positions = (0..count).map_while(move |entry| start.checked_add(2 + 12 * entry));
    positions.map_while(move |at| Some(Entry { tag: order.u16(tiff, at)?, tiff, order, at }))
}

/// Iterates over the entries of the first directory and of the EXIF directory.
///
/// No other directories are read, so that a circular structure cannot cause an endless loop.
pub(crate) fn all_entries(tiff: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    const EXIF_DIRECTORY: u16 = 0x8769;
    let order = ByteOrder::of(tiff);
    let directory = move |start: Option<usize>| {
        order.zip(start).into_iter().flat_map(move |(order, start)| entries(tiff, order, start))
    };
    let first = move || directory(order.and_then(|order| order.u32(tiff, 4)));
    let exif = first().filter(|entry| entry.tag == EXIF_DIRECTORY).last().and_then(Entry::offset);
    first().filter(|entry| entry.tag != EXIF_DIRECTORY).chain(directory(exif))
}
