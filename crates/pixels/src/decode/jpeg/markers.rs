//! Markers of JPEGs, and the segments that describe the frame, the scans and the tables (ITU-T T.81, annex B).

use super::bits::Table;
use super::{DecodeError, Limits};

/// The marker codes, which follow a byte 0xFF (table B.1).
pub(super) mod code {
    pub(in super::super) const TEM: u8 = 0x01;
    pub(in super::super) const SOF0: u8 = 0xC0;
    pub(in super::super) const SOF1: u8 = 0xC1;
    pub(in super::super) const SOF2: u8 = 0xC2;
    pub(in super::super) const DHT: u8 = 0xC4;
    pub(in super::super) const JPG: u8 = 0xC8;
    pub(in super::super) const DAC: u8 = 0xCC;
    pub(in super::super) const SOF15: u8 = 0xCF;
    pub(in super::super) const RST0: u8 = 0xD0;
    pub(in super::super) const RST7: u8 = 0xD7;
    pub(in super::super) const SOI: u8 = 0xD8;
    pub(in super::super) const EOI: u8 = 0xD9;
    pub(in super::super) const SOS: u8 = 0xDA;
    pub(in super::super) const DQT: u8 = 0xDB;
    pub(in super::super) const DRI: u8 = 0xDD;
    pub(in super::super) const APP0: u8 = 0xE0;
    pub(in super::super) const APP14: u8 = 0xEE;
}

/// Reads bytes and big-endian words of a segment.
pub(super) struct Segment<'a>(pub(super) &'a [u8]);

impl Segment<'_> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.0.split_first().ok_or_else(too_short)?;
        self.0 = rest;
        Ok(byte)
    }

    /// Reads two numbers of four bits.
    fn nibbles(&mut self) -> Result<(usize, usize), DecodeError> {
        self.byte().map(|byte| (usize::from(byte >> 4), usize::from(byte & 15)))
    }

    pub(super) fn word(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }
}

fn too_short() -> DecodeError {
    corrupt("a segment is shorter than its content")
}

pub(super) fn corrupt(what: &str) -> DecodeError {
    DecodeError::Corrupt(what.to_owned())
}

/// A component, e.g. Cb. A block has 8x8 samples.
#[derive(Clone)]
pub(super) struct Component {
    pub(super) id: u8,
    /// The horizontal sampling factor.
    pub(super) h: usize,
    /// The vertical sampling factor.
    pub(super) v: usize,
    /// The slot of its quantisation table.
    pub(super) quantisation: usize,
    /// The size in samples.
    pub(super) width: usize,
    pub(super) height: usize,
    /// The size in blocks, as far as they contain samples of the image.
    pub(super) blocks_wide: usize,
    pub(super) blocks_high: usize,
    /// Blocks per row and number of rows, including those that fill up the last interleaved units.
    pub(super) stride: usize,
    pub(super) rows: usize,
    /// The index of the first block among those of all components.
    pub(super) first_block: usize,
}

/// The content of the frame header.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) is_progressive: bool,
    pub(super) components: Vec<Component>,
    pub(super) h_max: usize,
    pub(super) v_max: usize,
    /// The number of blocks of all components.
    pub(super) blocks: usize,
}

impl Frame {
    pub(super) fn parse(marker: u8, mut segment: Segment<'_>, limits: &Limits) -> Result<Frame, DecodeError> {
        let coding = match marker {
            code::SOF0 | code::SOF1 | code::SOF2 => None,
            0xC3 | 0xC7 => Some("lossless coding"),
            0xC5 | 0xC6 => Some("hierarchical coding"),
            _ => Some("arithmetic coding"),
        };
        if let Some(coding) = coding {
            return Err(DecodeError::Unsupported(format!("a JPEG with {coding}; save it as PNG to read it")));
        }
        let precision = segment.byte()?;
        if precision != 8 {
            return Err(DecodeError::Unsupported(format!("a JPEG with {precision} bits per sample instead of 8")));
        }
        let (height, width) = (u32::from(segment.word()?), u32::from(segment.word()?));
        limits.check(width, height)?;
        let count = segment.byte()?;
        if !matches!(count, 1 | 3 | 4) {
            return Err(DecodeError::Unsupported(format!("a JPEG with {count} components instead of 1, 3 or 4")));
        }
        let mut components = Vec::new();
        for _ in 0..count {
            let (id, (h, v), quantisation) = (segment.byte()?, segment.nibbles()?, usize::from(segment.byte()?));
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) || quantisation > 3 {
                return Err(corrupt("the frame header contains an invalid sampling factor or table"));
            }
            components.push(Component {
                id,
                h,
                v,
                quantisation,
                width: 0,
                height: 0,
                blocks_wide: 0,
                blocks_high: 0,
                stride: 0,
                rows: 0,
                first_block: 0,
            });
        }
        let h_max = components.iter().map(|c| c.h).max().unwrap_or(1);
        let v_max = components.iter().map(|c| c.v).max().unwrap_or(1);
        if components.iter().any(|c| h_max % c.h != 0 || v_max % c.v != 0) {
            return Err(DecodeError::Unsupported("a JPEG whose sampling factors are no multiples".into()));
        }
        let mut blocks = 0;
        for component in &mut components {
            component.width = (width as usize * component.h).div_ceil(h_max);
            component.height = (height as usize * component.v).div_ceil(v_max);
            component.blocks_wide = component.width.div_ceil(8);
            component.blocks_high = component.height.div_ceil(8);
            component.stride = component.blocks_wide.next_multiple_of(component.h);
            component.rows = component.blocks_high.next_multiple_of(component.v);
            component.first_block = blocks;
            blocks += component.stride * component.rows;
        }
        let is_progressive = marker == code::SOF2;
        Ok(Frame { width, height, is_progressive, components, h_max, v_max, blocks })
    }

    /// The number of units, in each direction, of a scan that interleaves components.
    pub(super) fn units(&self) -> (usize, usize) {
        let units = |size: u32, factor: usize| (size as usize).div_ceil(8 * factor);
        (units(self.width, self.h_max), units(self.height, self.v_max))
    }
}

/// A component of a scan: its index in the frame, and the slots of its Huffman tables.
#[derive(Clone, Copy)]
pub(super) struct ScanComponent {
    pub(super) index: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// The content of a scan header.
pub(super) struct Scan {
    pub(super) components: Vec<ScanComponent>,
    /// The first and last coefficient in zigzag order. Unused if the frame is not progressive.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The lowest bit that earlier scans coded, and the lowest bit of this scan (Ah and Al).
    pub(super) high: usize,
    pub(super) low: usize,
}

impl Scan {
    pub(super) fn parse(mut segment: Segment<'_>, frame: &Frame) -> Result<Scan, DecodeError> {
        let invalid = || corrupt("a scan header is invalid");
        let count = segment.byte()?;
        let mut components: Vec<ScanComponent> = Vec::new();
        for _ in 0..count {
            let (id, (dc, ac)) = (segment.byte()?, segment.nibbles()?);
            let index = frame.components.iter().position(|component| component.id == id).ok_or_else(invalid)?;
            if dc > 3 || ac > 3 || components.iter().any(|other| other.index == index) {
                return Err(invalid());
            }
            components.push(ScanComponent { index, dc, ac });
        }
        let blocks: usize = components.iter().map(|c| frame.components[c.index].h * frame.components[c.index].v).sum();
        if components.is_empty() || components.len() > 1 && blocks > 10 {
            return Err(invalid());
        }
        let (first, last) = (usize::from(segment.byte()?), usize::from(segment.byte()?));
        let (high, low) = segment.nibbles()?;
        if frame.is_progressive {
            let band = if first == 0 { last == 0 } else { first <= last && last < 64 && components.len() == 1 };
            if !band || low > 13 || high != 0 && high != low + 1 {
                return Err(invalid());
            }
        }
        Ok(Scan { components, first, last, high, low })
    }
}

/// The tables that segments define. Later segments replace tables.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Quantisation tables in zigzag order. Steps of 32,768 and more become negative, as in libjpeg-turbo.
    pub(super) quantisation: [Option<[i16; 64]>; 4],
    /// The number of units between restart markers. 0 if there are none.
    pub(super) restart_interval: usize,
}

impl Tables {
    pub(super) fn define_huffman(&mut self, mut segment: Segment<'_>) -> Result<(), DecodeError> {
        let invalid = || corrupt("a Huffman table is invalid");
        while !segment.0.is_empty() {
            let (class, slot) = segment.nibbles()?;
            let (counts, rest) = segment.0.split_first_chunk::<16>().ok_or_else(too_short)?;
            let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or_else(too_short)?;
            segment.0 = rest;
            let table = Table::new(counts, symbols).ok_or_else(invalid)?;
            match class {
                0 if table.greatest_symbol() <= 15 => *self.dc.get_mut(slot).ok_or_else(invalid)? = Some(table),
                1 => *self.ac.get_mut(slot).ok_or_else(invalid)? = Some(table),
                _ => return Err(invalid()),
            }
        }
        Ok(())
    }

    pub(super) fn define_quantisation(&mut self, mut segment: Segment<'_>) -> Result<(), DecodeError> {
        while !segment.0.is_empty() {
            let (precision, slot) = segment.nibbles()?;
            let mut table = [0; 64];
            for step in &mut table {
                *step = if precision == 0 { i16::from(segment.byte()?) } else { segment.word()? as i16 };
            }
            let place = self.quantisation.get_mut(slot);
            *place.ok_or_else(|| corrupt("a quantisation table is invalid"))? = Some(table);
        }
        Ok(())
    }
}
