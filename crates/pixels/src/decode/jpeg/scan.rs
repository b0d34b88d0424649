//! Entropy decoding of one scan (ITU-T T.81, F.2.2 and G.2), which counts the blocks that are really there.

use super::DecodeError;
use super::bits::{Bits, Broken, Table};
use super::blocks::Blocks;
use super::markers::{Component, Frame, Scan, Tables, code, corrupt};

/// The outcome of a scan.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The number of blocks that were decoded, for each component of the frame.
    pub(super) decoded: [u64; 4],
    /// The number of blocks that the scan should have, for each component of the frame.
    pub(super) expected: [u64; 4],
    /// The number of bytes that were left over.
    pub(super) unread: u64,
    /// Whether there was an invalid code or a restart marker in a wrong place.
    pub(super) is_broken: bool,
}

impl Tally {
    pub(super) fn is_complete(&self) -> bool {
        self.decoded == self.expected && !self.is_broken
    }
}

/// A component of a scan with its tables and the blocks of each unit.
struct Lane<'a> {
    index: usize,
    component: &'a Component,
    dc: Option<&'a Table>,
    ac: Option<&'a Table>,
    h: usize,
    v: usize,
    /// The quantisation table in zigzag order.
    steps: [i16; 64],
    prediction: i32,
}

/// Reads a scan into `blocks`. `quantisation` has the table of each component in zigzag order.
pub(super) fn read(
    bits: &mut Bits<'_>,
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    quantisation: &[[i16; 64]],
    blocks: &mut Blocks,
) -> Result<Tally, DecodeError> {
    let is_interleaved = scan.components.len() > 1;
    let needs_dc = !frame.is_progressive || scan.first == 0 && scan.high == 0;
    let needs_ac = !frame.is_progressive || scan.first > 0;
    let mut lanes = Vec::new();
    for part in &scan.components {
        let component = &frame.components[part.index];
        let (dc, ac) = (tables.dc[part.dc].as_ref(), tables.ac[part.ac].as_ref());
        if needs_dc && dc.is_none() || needs_ac && ac.is_none() {
            return Err(corrupt("a scan uses a Huffman table that is not defined"));
        }
        let (h, v) = if is_interleaved { (component.h, component.v) } else { (1, 1) };
        let steps = quantisation[part.index];
        lanes.push(Lane { index: part.index, component, dc, ac, h, v, steps, prediction: 0 });
    }
    let (wide, high) = match &lanes[..] {
        [lane] => (lane.component.blocks_wide, lane.component.blocks_high),
        _ => frame.units(),
    };
    let units = wide * high;
    let mut tally = Tally::default();
    for lane in &lanes {
        tally.expected[lane.index] = (units * lane.h * lane.v) as u64;
    }

    let interval = if tables.restart_interval == 0 { units } else { tables.restart_interval };
    let mut coder = Coder { frame, scan, blocks, end_of_band_run: 0 };
    let (mut start, mut restarts) = (0, 0_u8);
    while start < units {
        let end = units.min(start + interval);
        coder.end_of_band_run = 0;
        lanes.iter_mut().for_each(|lane| lane.prediction = 0);
        let mut is_whole = true;
        for unit in start..end {
            let is_valid = coder.unit(bits, &mut lanes, unit % wide, unit / wide).is_ok();
            // Behind the end, there are zeros, which need not be a valid code.
            tally.is_broken |= !is_valid && !bits.is_past_end();
            is_whole = is_valid && !bits.is_past_end();
            if !is_whole {
                break;
            }
            for lane in &lanes {
                tally.decoded[lane.index] += (lane.h * lane.v) as u64;
            }
        }
        let (unread, marker) = bits.seek_marker();
        if is_whole {
            tally.unread += unread;
        }
        start = end;
        if end < units {
            let Some(number @ code::RST0..=code::RST7) = marker else { break };
            bits.restart();
            // If restart markers are missing, the interval after this one is found by its number.
            let skipped = (number - code::RST0).wrapping_sub(restarts) & 7;
            tally.is_broken |= skipped != 0;
            start += usize::from(skipped) * interval;
            restarts = (number - code::RST0 + 1) & 7;
        }
    }
    Ok(tally)
}

/// The state of entropy decoding that the components share.
struct Coder<'a> {
    frame: &'a Frame,
    scan: &'a Scan,
    blocks: &'a mut Blocks,
    /// How many further blocks have no coefficient in the band that is not zero yet.
    end_of_band_run: u32,
}

impl Coder<'_> {
    /// Decodes the blocks of a unit at column `x` and row `y` of the units.
    #[inline(always)]
    fn unit(&mut self, bits: &mut Bits<'_>, lanes: &mut [Lane<'_>], x: usize, y: usize) -> Result<(), Broken> {
        for lane in lanes {
            for row in 0..lane.v {
                for column in 0..lane.h {
                    self.block(bits, lane, y * lane.v + row, x * lane.h + column)?;
                }
            }
        }
        Ok(())
    }

    /// Decodes what the scan has of the block at a row and column of a component.
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits<'_>, lane: &mut Lane<'_>, row: usize, column: usize) -> Result<(), Broken> {
        if !self.frame.is_progressive {
            return self.sequential(bits, lane, row, column);
        }
        let block = lane.component.first_block + row * lane.component.stride + column;
        match (self.scan.first, self.scan.high) {
            (0, 0) => self.dc_first(bits, lane, block),
            (0, _) => {
                if bits.bit() {
                    self.blocks.coefficients[block][0] |= 1 << self.scan.low;
                }
                Ok(())
            }
            (_, 0) => self.ac_first(bits, lane.ac.ok_or(Broken)?, block),
            _ => self.ac_refine(bits, lane.ac.ok_or(Broken)?, block),
        }
    }

    #[inline(always)]
    fn sequential(
        &mut self,
        bits: &mut Bits<'_>,
        lane: &mut Lane<'_>,
        row: usize,
        column: usize,
    ) -> Result<(), Broken> {
        let (dc, ac) = (lane.dc.ok_or(Broken)?, lane.ac.ok_or(Broken)?);
        let size = bits.symbol(dc)?;
        lane.prediction = lane.prediction.wrapping_add(bits.value(u32::from(size)));
        let mut dequantised = [0; 64];
        dequantised[0] = (lane.prediction as i16).wrapping_mul(lane.steps[0]);
        let has_ac = bits.ac_coefficients(ac, &lane.steps, &mut dequantised)?;
        self.blocks.transform(lane.index, lane.component, row, column, &dequantised, has_ac);
        Ok(())
    }

    fn dc_first(&mut self, bits: &mut Bits<'_>, lane: &mut Lane<'_>, block: usize) -> Result<(), Broken> {
        let size = bits.symbol(lane.dc.ok_or(Broken)?)?;
        lane.prediction = lane.prediction.wrapping_add(bits.value(u32::from(size)));
        self.blocks.coefficients[block][0] = (lane.prediction << self.scan.low) as i16;
        Ok(())
    }

    fn ac_first(&mut self, bits: &mut Bits<'_>, table: &Table, block: usize) -> Result<(), Broken> {
        if self.end_of_band_run > 0 {
            self.end_of_band_run -= 1;
            return Ok(());
        }
        let mut k = self.scan.first;
        while k <= self.scan.last {
            let symbol = bits.symbol(table)?;
            let (run, size) = (symbol >> 4, u32::from(symbol & 15));
            if size == 0 {
                if run < 15 {
                    self.end_of_band_run = run_length(bits, run) - 1;
                    break;
                }
                k += 16;
                continue;
            }
            k += usize::from(run);
            if k > self.scan.last {
                return Err(Broken);
            }
            self.blocks.set(block, k, bits.value(size) << self.scan.low);
            k += 1;
        }
        Ok(())
    }

    fn ac_refine(&mut self, bits: &mut Bits<'_>, table: &Table, block: usize) -> Result<(), Broken> {
        let bit = 1 << self.scan.low;
        let mut k = self.scan.first;
        if self.end_of_band_run == 0 {
            while k <= self.scan.last {
                let symbol = bits.symbol(table)?;
                let (mut run, size) = (symbol >> 4, symbol & 15);
                let value = match size {
                    0 if run < 15 => {
                        self.end_of_band_run = run_length(bits, run);
                        break;
                    }
                    0 => 0,
                    1 => {
                        if bits.number(1) == 1 {
                            bit
                        } else {
                            -bit
                        }
                    }
                    _ => return Err(Broken),
                };
                // Skips `run` coefficients that are zero, and corrects those that are not.
                while k <= self.scan.last {
                    if self.blocks.has(block, k) {
                        self.correct(bits, block, k, bit);
                    } else if run == 0 {
                        break;
                    } else {
                        run -= 1;
                    }
                    k += 1;
                }
                if value != 0 {
                    if k > self.scan.last {
                        return Err(Broken);
                    }
                    self.blocks.set(block, k, value);
                }
                k += 1;
            }
        }
        if self.end_of_band_run > 0 {
            for k in k..=self.scan.last {
                if self.blocks.has(block, k) {
                    self.correct(bits, block, k, bit);
                }
            }
            self.end_of_band_run -= 1;
        }
        Ok(())
    }

    /// Adds `bit` to the magnitude of a coefficient if the next bit says so.
    fn correct(&mut self, bits: &mut Bits<'_>, block: usize, k: usize, bit: i32) {
        if bits.bit() {
            let coefficient = &mut self.blocks.coefficients[block][k];
            if i32::from(*coefficient) & bit == 0 {
                *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { bit } else { -bit } as i16);
            }
        }
    }
}

/// Reads the number of blocks, including this one, whose band has no further coefficients.
fn run_length(bits: &mut Bits<'_>, exponent: u8) -> u32 {
    let exponent = u32::from(exponent);
    (1 << exponent) + bits.number(exponent)
}
