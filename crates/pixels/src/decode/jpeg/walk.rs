//! The structure of a JPEG: its segments in order, and its scans, entropy-decoded.

use super::bits::Bits;
use super::blocks::Blocks;
use super::marker_search::next_marker;
use super::markers::{Frame, Scan, Segment, Tables, code, corrupt};
use super::scan::{self, Tally};
use super::{DecodeError, Limits};

/// The largest number of scans. Programs write about ten. Each may go over the whole image in a few bytes.
const MAX_SCANS: usize = 256;

/// How the components encode colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    /// CMYK whose inverted first three components are stored as YCbCr.
    Ycck,
}

/// What the markers and scans of a JPEG say.
pub(super) struct Jpeg {
    pub(super) frame: Frame,
    pub(super) blocks: Blocks,
    /// The quantisation tables of each component, in zigzag order, as they were at its first scan.
    pub(super) quantisation: Vec<[i16; 64]>,
    pub(super) has_jfif: bool,
    /// The colour transform of the Adobe segment.
    pub(super) adobe: Option<u8>,
    /// Whether the first scan contains all components.
    pub(super) is_interleaved: bool,
    /// Whether there is an end-of-image marker.
    pub(super) has_end: bool,
    /// The number of bytes between the entropy-coded data of a restart interval and the marker after it.
    pub(super) unread: u64,
}

impl Jpeg {
    /// How the components encode colours, by the rules of libjpeg.
    pub(super) fn colour(&self) -> Colour {
        let ids: Vec<u8> = self.frame.components.iter().map(|component| component.id).collect();
        match (ids.len(), self.adobe) {
            (1, _) => Colour::Grey,
            (3, _) if self.has_jfif => Colour::YCbCr,
            (3, Some(0)) => Colour::Rgb,
            (3, None) if ids == *b"RGB" => Colour::Rgb,
            (3, _) => Colour::YCbCr,
            (_, None | Some(0)) => Colour::Cmyk,
            _ => Colour::Ycck,
        }
    }
}

/// The state while a file is read.
struct Walk<'a> {
    file: &'a [u8],
    limits: &'a Limits,
    jpeg: Option<Jpeg>,
    tables: Tables,
    has_jfif: bool,
    adobe: Option<u8>,
    /// For each component and coefficient, the lowest bit that scans have coded. [`UNCODED`] before the first scan.
    precision: [[u8; 64]; 4],
    scans: usize,
    /// The blocks of the first scans of all components.
    first: Tally,
    /// The first scan that is not complete, and its tally.
    damaged: Option<(usize, Tally)>,
}

const UNCODED: u8 = u8::MAX;

/// Reads a JPEG whose pixels are complete.
///
/// # Errors
/// The file is not a JPEG that libjpeg-turbo decodes, exceeds `limits`, or does not contain all coefficients.
pub(super) fn read(file: &[u8], limits: &Limits) -> Result<Jpeg, DecodeError> {
    let mut walk = Walk {
        file,
        limits,
        jpeg: None,
        tables: Tables::default(),
        has_jfif: false,
        adobe: None,
        precision: [[UNCODED; 64]; 4],
        scans: 0,
        first: Tally::default(),
        damaged: None,
    };
    let has_end = walk.segments()?;
    walk.finish(has_end)
}

impl Walk<'_> {
    /// Reads all segments. Returns whether there is an end-of-image marker.
    fn segments(&mut self) -> Result<bool, DecodeError> {
        let mut at = 2;
        while let Some((marker, after)) = next_marker(self.file, at) {
            match marker {
                code::EOI => return Ok(true),
                code::TEM | code::RST0..=code::RST7 => {
                    at = after;
                    continue;
                }
                // The next image, behind a missing end-of-image marker.
                code::SOI if self.is_complete() => return Ok(false),
                code::SOI => return Err(corrupt("a second image starts before the first is complete")),
                _ => {}
            }
            let length = self.file.get(after..).and_then(<[u8]>::first_chunk).map(|&word| u16::from_be_bytes(word));
            let data = length.and_then(|length| self.file.get(after + 2..after + usize::from(length)));
            let (Some(length), Some(data)) = (length, data) else {
                return match length {
                    _ if self.is_complete() => Ok(false),
                    Some(0 | 1) => Err(corrupt("a segment has an invalid length")),
                    _ if self.scans > 0 => Ok(false),
                    _ => Err(DecodeError::Truncated("the JPEG ends within a segment".into())),
                };
            };
            at = after + usize::from(length);
            if marker == code::SOS {
                at = self.scan(data, at)?;
            } else if !self.is_single_scan_done() {
                self.segment(marker, data)?;
            }
        }
        Ok(false)
    }

    /// libjpeg ignores everything behind a scan of all components of a frame that is not progressive.
    fn is_single_scan_done(&self) -> bool {
        let is_single = |jpeg: &Jpeg| jpeg.is_interleaved && !jpeg.frame.is_progressive;
        self.scans > 0 && self.jpeg.as_ref().is_some_and(is_single)
    }

    fn segment(&mut self, marker: u8, data: &[u8]) -> Result<(), DecodeError> {
        match marker {
            code::DHT => self.tables.define_huffman(Segment(data))?,
            code::DQT => self.tables.define_quantisation(Segment(data))?,
            code::DRI => self.tables.restart_interval = usize::from(Segment(data).word()?),
            code::APP0 => self.has_jfif |= data.starts_with(b"JFIF\0"),
            code::APP14 => {
                // Version and flags stand before the transform.
                self.adobe = data.strip_prefix(b"Adobe").and_then(|rest| rest.get(6).copied()).or(self.adobe);
            }
            code::JPG | code::DAC => {}
            code::SOF0..=code::SOF15 => {
                if self.jpeg.is_some() {
                    return Err(corrupt("it has two frame headers"));
                }
                let frame = Frame::parse(marker, Segment(data), self.limits)?;
                let blocks = Blocks::new(&frame);
                let quantisation = vec![[0; 64]; frame.components.len()];
                let jpeg = Jpeg {
                    frame,
                    blocks,
                    quantisation,
                    has_jfif: false,
                    adobe: None,
                    is_interleaved: false,
                    has_end: false,
                    unread: 0,
                };
                self.jpeg = Some(jpeg);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a scan whose data start at `at`. Returns the position behind them.
    fn scan(&mut self, header: &[u8], at: usize) -> Result<usize, DecodeError> {
        if self.is_single_scan_done() {
            return Ok(at);
        }
        let jpeg = self.jpeg.as_mut().ok_or_else(|| corrupt("a scan precedes the frame header"))?;
        let scan = Scan::parse(Segment(header), &jpeg.frame)?;
        if self.scans == MAX_SCANS {
            return Err(DecodeError::Unsupported(format!("a JPEG with more than {MAX_SCANS} scans")));
        }
        if self.scans == 0 {
            jpeg.is_interleaved = scan.components.len() == jpeg.frame.components.len();
        }
        for part in &scan.components {
            let precision = &mut self.precision[part.index];
            let (band, expected, reached) = match jpeg.frame.is_progressive {
                true if scan.high == 0 => (scan.first..=scan.last, UNCODED, scan.low),
                true => (scan.first..=scan.last, scan.high as u8, scan.low),
                false => (0..=63, UNCODED, 0),
            };
            let is_in_order = scan.first == 0 || precision[0] != UNCODED || !jpeg.frame.is_progressive;
            if !is_in_order || precision[band.clone()].iter().any(|&bit| bit != expected) {
                return Err(corrupt("its scans are in an invalid order"));
            }
            if precision[0] == UNCODED {
                let slot = jpeg.frame.components[part.index].quantisation;
                let table = self.tables.quantisation[slot];
                jpeg.quantisation[part.index] =
                    table.ok_or_else(|| corrupt("a component uses a quantisation table that is not defined"))?;
            }
            precision[band].fill(reached as u8);
        }
        let mut bits = Bits::new(self.file, at);
        let tally = scan::read(&mut bits, &jpeg.frame, &scan, &self.tables, &jpeg.quantisation, &mut jpeg.blocks)?;
        self.scans += 1;
        jpeg.unread += tally.unread;
        if scan.first == 0 && scan.high == 0 || !jpeg.frame.is_progressive {
            for part in &scan.components {
                self.first.decoded[part.index] = tally.decoded[part.index];
            }
        }
        if !tally.is_complete() && self.damaged.is_none() {
            self.damaged = Some((self.scans, tally));
        }
        Ok(bits.position())
    }

    /// Whether all coefficients of all components have been decoded in full precision.
    fn is_complete(&self) -> bool {
        let Some(jpeg) = &self.jpeg else { return false };
        let precision = &self.precision[..jpeg.frame.components.len()];
        self.damaged.is_none() && precision.iter().flatten().all(|&bit| bit == 0)
    }

    fn finish(self, has_end: bool) -> Result<Jpeg, DecodeError> {
        let is_complete = self.is_complete();
        let Some(mut jpeg) = self.jpeg else {
            return Err(match has_end {
                true => corrupt("it has no frame header"),
                false => DecodeError::Truncated("the JPEG ends before the frame header".into()),
            });
        };
        if !is_complete {
            return Err(incomplete(&jpeg.frame, &self.first, self.damaged));
        }
        jpeg.has_jfif = self.has_jfif;
        jpeg.adobe = self.adobe;
        jpeg.has_end = has_end;
        jpeg.blocks.transform_kept(&jpeg.frame, &jpeg.quantisation);
        Ok(jpeg)
    }
}

/// Describes which part of the image is missing.
fn incomplete(frame: &Frame, first: &Tally, damaged: Option<(usize, Tally)>) -> DecodeError {
    let expected: u64 = frame.components.iter().map(|c| (c.blocks_wide * c.blocks_high) as u64).sum();
    // Interleaved scans also contain blocks outside the image.
    let decoded: f64 = frame
        .components
        .iter()
        .zip(first.decoded)
        .map(|(c, decoded)| {
            let blocks = (c.blocks_wide * c.blocks_high) as f64;
            (decoded as f64 * blocks / (c.stride * c.rows) as f64).min(blocks)
        })
        .sum();
    let missing = 100.0 * (1.0 - decoded / expected as f64);
    let is_broken = damaged.as_ref().is_some_and(|(_, tally)| tally.is_broken);
    let what = match damaged {
        _ if missing >= 0.05 => format!("{missing:.1}% of the image data are missing"),
        Some((scan, _)) => format!("scan {scan} of the image data is incomplete"),
        None => "the last scans of the image data are missing".to_owned(),
    };
    if is_broken {
        DecodeError::Corrupt(format!("the image data contain invalid codes, and {what}"))
    } else {
        DecodeError::Truncated(what)
    }
}
