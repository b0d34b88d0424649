//! Bits of entropy-coded data (ITU-T T.81, B.1.1.5), and Huffman tables (annex C).

use super::marker_search::next_marker;
use crate::zigzag::ZIGZAG;

/// The data contain no valid code at this place.
#[derive(Debug)]
pub(super) struct Broken;

/// Codes of up to this number of bits are found by one look-up.
const FAST_BITS: u32 = 10;

/// What begins with a sequence of [`FAST_BITS`] bits.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// The symbol.
    symbol: u8,
    /// The length of the code. 0 if the code is longer than the sequence, or invalid.
    length: u8,
    /// The length of the code with the value of the coefficient after it.
    total: u8,
    /// For AC coefficients: the distance from the coefficient before to the one with the value, in zigzag order.
    /// [`END_OF_BLOCK`] if no coefficient follows.
    distance: u8,
}

/// More than any sum of distances within a block.
const END_OF_BLOCK: u8 = 128;

impl Entry {
    fn new(symbol: u8, length: u8) -> Entry {
        let (run, size) = (symbol >> 4, symbol & 15);
        let distance = if size == 0 && run < 15 { END_OF_BLOCK } else { run + 1 };
        Entry { symbol, length, total: length + size, distance }
    }
}

/// A Huffman table.
#[derive(Clone)]
pub(super) struct Table {
    fast: Box<[Entry; 1 << FAST_BITS]>,
    /// For each length, the first 16-bit sequence after the codes of this length.
    end: [u32; 17],
    /// For each length, the index of the first symbol minus the first code, modulo 2^32.
    offset: [u32; 17],
    symbols: [u8; 256],
}

impl Table {
    /// Makes a table from the number of codes of each length and the symbols, or returns `None` if there are more codes
    /// than bits allow.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Table> {
        let fast = Box::new([Entry::default(); 1 << FAST_BITS]);
        let mut table = Table { fast, end: [0; 17], offset: [0; 17], symbols: [0; 256] };
        table.symbols.get_mut(..values.len())?.copy_from_slice(values);
        let (mut code, mut index) = (0_u32, 0_u32);
        for length in 1..=16_u32 {
            let count = u32::from(counts[length as usize - 1]);
            table.offset[length as usize] = index.wrapping_sub(code);
            for _ in 0..count {
                let symbol = *values.get(index as usize)?;
                if code >= 1 << length {
                    return None;
                }
                if length <= FAST_BITS {
                    let spare = FAST_BITS - length;
                    let first = (code << spare) as usize;
                    table.fast[first..first + (1 << spare)].fill(Entry::new(symbol, length as u8));
                }
                code += 1;
                index += 1;
            }
            table.end[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// The largest symbol.
    pub(super) fn greatest_symbol(&self) -> u8 {
        self.symbols.iter().copied().max().unwrap_or(0)
    }
}

/// A reader of bits that stops at the next marker. Behind the end it returns zeros, as libjpeg does; see
/// [`Bits::is_past_end`].
pub(super) struct Bits<'a> {
    file: &'a [u8],
    /// The position of the first byte that is not in `buffer`. Never behind the next marker.
    at: usize,
    /// The next bits, from the highest one.
    buffer: u64,
    /// The number of bits in `buffer`.
    count: u32,
    /// How many zeros were appended since the last marker.
    padded: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(file: &'a [u8], at: usize) -> Self {
        Bits { file, at, buffer: 0, count: 0, padded: 0 }
    }

    /// Fills the buffer to at least 33 bits, which contain the longest code and the longest value after it.
    #[inline(always)]
    fn refill(&mut self) {
        if self.count <= 32 {
            self.refill_now();
        }
    }

    /// Fills the buffer to at least 56 bits.
    #[inline(always)]
    fn refill_now(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        if let Some(&bytes) = self.file.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_be_bytes(bytes);
            let has_ff = (!word).wrapping_sub(ONES) & word & (ONES << 7) != 0;
            if !has_ff {
                // The bits that do not fit are read again. They have the same values then.
                self.buffer |= word >> self.count;
                let taken = (64 - self.count) / 8;
                self.at += taken as usize;
                self.count += taken * 8;
                return;
            }
        }
        self.refill_slowly();
    }

    #[inline(never)]
    fn refill_slowly(&mut self) {
        while self.count <= 56 {
            let byte = match self.file.get(self.at) {
                Some(0xFF) => {
                    let fill = self.file[self.at..].iter().take_while(|&&byte| byte == 0xFF).count();
                    if self.file.get(self.at + fill) == Some(&0) {
                        self.at += fill + 1;
                        Some(0xFF)
                    } else {
                        None
                    }
                }
                Some(&byte) => {
                    self.at += 1;
                    Some(byte)
                }
                None => None,
            };
            match byte {
                Some(byte) => {
                    self.buffer |= u64::from(byte) << (56 - self.count);
                    self.count += 8;
                }
                None => {
                    self.padded += 64 - self.count;
                    self.count = 64;
                }
            }
        }
    }

    #[inline(always)]
    fn consume(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }

    /// Reads a symbol. At least 16 bits remain in the buffer afterwards.
    #[inline(always)]
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, Broken> {
        self.refill();
        let entry = self.entry(table);
        if entry.length > 0 {
            self.consume(u32::from(entry.length));
            return Ok(entry.symbol);
        }
        self.long_symbol(table)
    }

    #[inline(always)]
    fn entry(&self, table: &Table) -> Entry {
        table.fast[(self.buffer >> (64 - FAST_BITS)) as usize]
    }

    /// Reads the AC coefficients of a block that is coded sequentially. Multiplies them by `steps`, which are in zigzag
    /// order, and writes them to `block` in row order. Returns whether there are any.
    #[inline(always)]
    pub(super) fn ac_coefficients(
        &mut self,
        table: &Table,
        steps: &[i16; 64],
        block: &mut [i16; 64],
    ) -> Result<bool, Broken> {
        let mut set = |k: usize, value: i32| {
            // The mask tells the compiler what is checked below.
            let k = k & 63;
            block[usize::from(ZIGZAG[k])] = (value as i16).wrapping_mul(steps[k]);
        };
        let mut k = 0;
        while k < 63 {
            self.refill_now();
            // Local variables stay in registers.
            let (mut buffer, mut count) = (self.buffer, self.count);
            let mut is_long = false;
            // Two short codes with their values have at most 50 bits.
            for _ in 0..2 {
                let entry = table.fast[(buffer >> (64 - FAST_BITS)) as usize];
                is_long = entry.length == 0;
                if is_long {
                    break;
                }
                k += usize::from(entry.distance);
                if k <= 63 {
                    set(k, first_value(buffer << entry.length, u32::from(entry.total - entry.length)));
                }
                buffer <<= entry.total;
                count -= u32::from(entry.total);
                if k >= 63 {
                    break;
                }
            }
            (self.buffer, self.count) = (buffer, count);
            if is_long {
                self.refill();
                let entry = Entry::new(self.long_symbol(table)?, 0);
                k += usize::from(entry.distance);
                if k <= 63 {
                    set(k, first_value(self.buffer, u32::from(entry.total)));
                }
                self.consume(u32::from(entry.total));
            }
        }
        let is_valid = k == 63 || k >= usize::from(END_OF_BLOCK);
        if is_valid { Ok(k != usize::from(END_OF_BLOCK)) } else { Err(Broken) }
    }

    #[inline(never)]
    fn long_symbol(&mut self, table: &Table) -> Result<u8, Broken> {
        let next = (self.buffer >> 48) as u32;
        for length in FAST_BITS as usize + 1..=16 {
            if next < table.end[length] {
                self.consume(length as u32);
                let index = (next >> (16 - length)).wrapping_add(table.offset[length]);
                return table.symbols.get(index as usize).copied().ok_or(Broken);
            }
        }
        Err(Broken)
    }

    /// Reads a number of up to 15 bits directly after a symbol.
    #[inline(always)]
    pub(super) fn number(&mut self, bits: u32) -> u32 {
        // Two shifts, because a shift by 64 overflows.
        let value = (self.buffer >> 1 >> (63 - bits)) as u32;
        self.consume(bits);
        value
    }

    /// Reads the value of a coefficient of up to 15 bits directly after its symbol.
    #[inline(always)]
    pub(super) fn value(&mut self, bits: u32) -> i32 {
        let value = first_value(self.buffer, bits);
        self.consume(bits);
        value
    }

    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        self.refill();
        self.number(1) == 1
    }

    /// Whether bits were read behind the end of the data.
    pub(super) fn is_past_end(&self) -> bool {
        self.count < self.padded
    }

    /// Moves to the next marker. Returns the number of bytes that were not read, and the code of the marker, if any.
    pub(super) fn seek_marker(&mut self) -> (u64, Option<u8>) {
        let buffered = self.count.saturating_sub(self.padded) / 8;
        let (code, end) = match next_marker(self.file, self.at) {
            Some((code, after)) => (Some(code), after - 2),
            None => (None, self.file.len()),
        };
        // Fill bytes, or the first byte of a marker that is cut off.
        let rest = &self.file[self.at..end];
        let fill = rest.iter().rev().take_while(|&&byte| byte == 0xFF).count();
        let unread = u64::from(buffered) + (rest.len() - fill) as u64;
        (self.buffer, self.count, self.padded) = (0, 0, 0);
        self.at = end;
        (unread, code)
    }

    /// Skips the marker that [`Bits::seek_marker`] found.
    pub(super) fn restart(&mut self) {
        self.at += 2;
    }

    /// The position in the file after [`Bits::seek_marker`].
    pub(super) fn position(&self) -> usize {
        self.at
    }
}

/// Returns the value of a coefficient in the first `size` bits, at most 15 (T.81, F.2.2.1, EXTEND).
#[inline(always)]
fn first_value(bits: u64, size: u32) -> i32 {
    // Two shifts, because a shift by 64 overflows.
    let value = (bits >> 1 >> (63 - size)) as i32;
    // All ones if the first bit is zero, which says that the value is negative.
    let negative = !((bits as i64) >> 63) as i32;
    value + (negative & (1 - (1 << size)))
}
