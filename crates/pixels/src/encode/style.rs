//! Saving an image as another file was saved: in the same format, with the same settings and the same metadata.

use std::io::Cursor;

use ::image::codecs::png::{CompressionType, FilterType, PngEncoder};
use ::image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, RgbImage as Buffer};
use jpeg_encoder::{ColorType, Encoder, QuantizationTableType, SamplingFactor};

use super::{JpegSizeError, WebpError, webp, ycbcr};
use crate::metadata::{Compression, Segment, png_chunks, riff_chunks, segments};
use crate::zigzag::ZIGZAG;
use crate::{Format, RgbImage};

/// How a file was saved, as far as this crate can save another image in the same way.
///
/// - JPEG: quantisation tables, chroma subsampling, grey or colour, progressive or not, restart interval, and all
///   segments with metadata before the image. Content Credentials are left out, because they are signed for other pixels,
///   and so is the index of further pictures in the file.
/// - PNG: grey or colour, and the chunks with text, EXIF, colour profile, resolution and time. Always 8 bits without
///   palette and alpha.
/// - WebP: lossless or lossy. The quality of a lossy file is not in it; it is the one at which the image of the file
///   takes as many bytes. Metadata are left out.
/// - BMP, TIFF and GIF: the format only.
#[derive(Clone, Debug)]
pub struct FileStyle {
    kind: Kind,
    /// The metadata as they lie in the file: segments of a JPEG or chunks of a PNG.
    metadata: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Kind {
    Jpeg(JpegStyle),
    Png { is_grey: bool },
    LosslessWebp,
    LossyWebp { quality: u8 },
    Other(ImageFormat),
}

#[derive(Clone, Debug)]
struct JpegStyle {
    /// The luminance and chrominance tables in row order; `None` if the file has none that can be written.
    tables: Option<[Box<[u16; 64]>; 2]>,
    /// The segments with these tables as they lie in the file. Empty if an encoder has to write others.
    table_segments: Vec<u8>,
    quality: u8,
    /// The horizontal and vertical number of pixels that share a chroma sample.
    block: (u8, u8),
    is_grey: bool,
    progressive: bool,
    optimised: bool,
    restart_interval: u16,
}

/// The error if an image cannot be saved in the style of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StyleError {
    /// The image is too large for JPEG.
    #[error(transparent)]
    Jpeg(#[from] JpegSizeError),
    /// The image is too large for WebP, or memory runs out.
    #[error(transparent)]
    Webp(#[from] WebpError),
    /// An encoder fails.
    #[error("failed to encode the image: {0}")]
    Encoder(String),
}

impl FileStyle {
    /// Reads the style of `file`. `image` is its image.
    ///
    /// # Errors
    /// The image cannot be saved as WebP. Other formats have no errors.
    pub fn read(file: &[u8], format: Format, image: &RgbImage) -> Result<FileStyle, StyleError> {
        Ok(match format {
            Format::Jpeg => FileStyle { kind: Kind::Jpeg(JpegStyle::read(file)), metadata: jpeg_metadata(file) },
            Format::Png => FileStyle { kind: Kind::Png { is_grey: is_grey_png(file) }, metadata: png_metadata(file) },
            Format::WebP => FileStyle { kind: webp_kind(file, image)?, metadata: Vec::new() },
            Format::Bmp => FileStyle { kind: Kind::Other(ImageFormat::Bmp), metadata: Vec::new() },
            Format::Tiff => FileStyle { kind: Kind::Other(ImageFormat::Tiff), metadata: Vec::new() },
            Format::Gif => FileStyle { kind: Kind::Other(ImageFormat::Gif), metadata: Vec::new() },
        })
    }

    /// The same style without metadata.
    pub fn without_metadata(&self) -> FileStyle {
        FileStyle { metadata: Vec::new(), kind: self.kind.clone() }
    }

    /// Saves an image.
    ///
    /// # Errors
    /// The image is too large for the format.
    pub fn save(&self, image: &RgbImage) -> Result<Vec<u8>, StyleError> {
        match &self.kind {
            Kind::Jpeg(style) => Ok(with_header(&style.encode(image)?, &self.metadata, &style.table_segments)),
            Kind::Png { is_grey } => Ok(with_png_metadata(&png(image, *is_grey)?, &self.metadata)),
            Kind::LossyWebp { quality } => Ok(webp(image, *quality)?),
            Kind::LosslessWebp => {
                let encoder = ::webp::Encoder::from_rgb(image.data(), image.width(), image.height());
                let saved = encoder.encode_simple(true, 75.0);
                Ok(saved.map_err(|error| StyleError::Encoder(format!("{error:?}")))?.to_vec())
            }
            Kind::Other(format) => {
                let mut file = Cursor::new(Vec::new());
                let buffer = Buffer::from_raw(image.width(), image.height(), image.data().to_vec());
                let image = DynamicImage::ImageRgb8(buffer.unwrap_or_default());
                image.write_to(&mut file, *format).map_err(|error| StyleError::Encoder(error.to_string()))?;
                Ok(file.into_inner())
            }
        }
    }
}

impl JpegStyle {
    fn read(file: &[u8]) -> JpegStyle {
        let compression = Compression::read(file);
        let components = compression.map_or(3, |compression| compression.components);
        let (quality, progressive, optimised, restart_interval) = compression.map_or((95, false, false, 0), |found| {
            (found.quality, found.progressive, found.optimised, found.restart_interval)
        });
        let frame = Frame::read(file);
        let block = frame.as_ref().map_or((1, 1), Frame::block);
        let tables = frame.as_ref().and_then(|frame| frame.tables(file));
        let is_usual = tables.is_some() && frame.is_some_and(|frame| frame.has_usual_tables());
        let table_segments =
            if is_usual { kept_segments(file, |segment| segment.marker == TABLES) } else { Vec::new() };
        JpegStyle {
            tables,
            table_segments,
            quality,
            block,
            is_grey: components == 1,
            progressive,
            optimised,
            restart_interval,
        }
    }

    fn encode(&self, image: &RgbImage) -> Result<Vec<u8>, JpegSizeError> {
        let too_large = || JpegSizeError { width: image.width(), height: image.height() };
        let width = u16::try_from(image.width()).map_err(|_| too_large())?;
        let height = u16::try_from(image.height()).map_err(|_| too_large())?;
        let (across, down) = if self.is_grey { (1, 1) } else { self.block };
        let samples = ycbcr(image, usize::from(across), usize::from(down));
        let mut bytes = Vec::with_capacity(samples.len() / 8 + 1024);
        let mut encoder = Encoder::new(&mut bytes, self.quality.clamp(1, 100));
        if let Some([luminance, chrominance]) = self.tables.clone() {
            encoder.set_quantization_tables(
                QuantizationTableType::Custom(luminance),
                QuantizationTableType::Custom(chrominance),
            );
        }
        encoder.set_progressive(self.progressive);
        encoder.set_optimized_huffman_tables(self.optimised);
        encoder.set_restart_interval(self.restart_interval);
        let encoded = if self.is_grey {
            let luma: Vec<u8> = samples.iter().step_by(3).copied().collect();
            encoder.encode(&luma, width, height, ColorType::Luma)
        } else {
            encoder.set_sampling_factor(SamplingFactor::from_factors(across, down).unwrap_or(SamplingFactor::F_1_1));
            encoder.encode(&samples, width, height, ColorType::Ycbcr)
        };
        encoded.expect("writing to memory does not fail, and there is a sample for every pixel");
        Ok(bytes)
    }
}

/// The components of the frame header of a JPEG: sampling factors and number of the quantisation table of each.
struct Frame(Vec<(u8, u8)>);

impl Frame {
    fn read(file: &[u8]) -> Option<Frame> {
        let is_frame = |marker: u8| (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        let header = segments(file).find(|segment| is_frame(segment.marker))?.data;
        // Precision, height, width and number of components; then three bytes for each component.
        let components = header.get(6..)?.chunks_exact(3).map(|component| (component[1], component[2]));
        Some(Frame(components.take(usize::from(header[5])).collect())).filter(|frame| !frame.0.is_empty())
    }

    /// The number of pixels in each direction that share a sample of the second component.
    fn block(&self) -> (u8, u8) {
        let factors = |at: usize| self.0.get(at).map_or((1, 1), |(factors, _)| (factors >> 4, factors & 15));
        let (first, second) = (factors(0), factors(1));
        let ratio = |first: u8, second: u8| first.checked_div(second).unwrap_or(1);
        let block = (ratio(first.0, second.0), ratio(first.1, second.1));
        // The other factors are not supported by all decoders.
        if matches!(block, (1 | 2, 1 | 2)) { block } else { (1, 1) }
    }

    /// Whether the components have the numbers of tables that the encoder writes: 0 for luminance and 1 for chrominance.
    fn has_usual_tables(&self) -> bool {
        self.0.iter().enumerate().all(|(at, (_, table))| usize::from(*table) == at.min(1))
    }

    /// The tables of the first and second component. `None` if one of them is missing or has entries above 255.
    fn tables(&self, file: &[u8]) -> Option<[Box<[u16; 64]>; 2]> {
        let mut tables: [Option<Box<[u16; 64]>>; 4] = Default::default();
        for segment in segments(file).filter(|segment| segment.marker == TABLES) {
            let mut data = segment.data;
            while let Some((&head, rest)) = data.split_first() {
                // Tables of 16 bits per entry are not used.
                let entries = rest.first_chunk::<64>().filter(|_| head >> 4 == 0)?;
                let mut table = Box::new([0; 64]);
                for (&at, &entry) in ZIGZAG.iter().zip(entries) {
                    table[usize::from(at)] = u16::from(entry);
                }
                *tables.get_mut(usize::from(head))? = Some(table);
                data = &rest[64..];
            }
        }
        let of = |at: usize| tables.get(usize::from(self.0.get(at)?.1))?.clone();
        let first = of(0)?;
        let second = of(1).unwrap_or_else(|| first.clone());
        Some([first, second])
    }
}

/// The marker of quantisation tables.
const TABLES: u8 = 0xdb;
/// The marker of the JFIF segment.
const JFIF: u8 = 0xe0;

/// Returns the segments with metadata of a JPEG.
fn jpeg_metadata(file: &[u8]) -> Vec<u8> {
    const COMMENT: u8 = 0xfe;
    const CONTENT_CREDENTIALS: u8 = 0xeb;
    kept_segments(file, |segment| match segment.marker {
        // Adobe's segment also states the colour space, and the image is saved in YCbCr.
        0xee => segment.data.starts_with(b"Adobe") && segment.data.get(11) == Some(&1),
        0xe2 => !segment.data.starts_with(b"MPF\0"),
        CONTENT_CREDENTIALS => false,
        JFIF..=0xef | COMMENT => true,
        _ => false,
    })
}

/// Returns some segments of a JPEG header, with their markers and lengths.
fn kept_segments(file: &[u8], is_kept: impl Fn(&Segment<'_>) -> bool) -> Vec<u8> {
    let mut kept = Vec::new();
    for segment in segments(file).filter(is_kept) {
        // The length was read from two bytes.
        let length = segment.data.len() as u16 + 2;
        kept.extend([0xff, segment.marker]);
        kept.extend(length.to_be_bytes());
        kept.extend(segment.data);
    }
    kept
}

/// Puts metadata in the place of the JFIF segment that the encoder wrote, and segments with the same tables in the place
/// of its own. Programs divide the tables into segments in different ways.
fn with_header(file: &[u8], metadata: &[u8], tables: &[u8]) -> Vec<u8> {
    let end = 2 + segments(file).map(|segment| segment.data.len() + 4).sum::<usize>();
    let others =
        kept_segments(file, |segment| segment.marker != JFIF && (segment.marker != TABLES || tables.is_empty()));
    [&file[..2], metadata, tables, &others, &file[end..]].concat()
}

fn is_grey_png(file: &[u8]) -> bool {
    // The colour types of grey without and with alpha.
    let header = png_chunks(file).next().filter(|(kind, _)| kind == b"IHDR");
    header.is_some_and(|(_, data)| matches!(data.get(9), Some(0 | 4)))
}

fn png(image: &RgbImage, is_grey: bool) -> Result<Vec<u8>, StyleError> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
    let (width, height) = (image.width(), image.height());
    let written = if is_grey {
        let luma: Vec<u8> = ycbcr(image, 1, 1).iter().step_by(3).copied().collect();
        encoder.write_image(&luma, width, height, ExtendedColorType::L8)
    } else {
        encoder.write_image(image.data(), width, height, ExtendedColorType::Rgb8)
    };
    written.map_err(|error| StyleError::Encoder(error.to_string()))?;
    Ok(file)
}

/// Returns the chunks of a PNG that do not depend on how its pixels are stored.
fn png_metadata(file: &[u8]) -> Vec<u8> {
    const KEPT: [&[u8; 4]; 10] =
        [b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"pHYs", b"eXIf", b"tIME", b"tEXt", b"zTXt", b"iTXt"];
    let mut kept = Vec::new();
    for (kind, data) in png_chunks(file).filter(|(kind, _)| KEPT.contains(&kind)) {
        let mut checksum = flate2::Crc::new();
        checksum.update(&kind);
        checksum.update(data);
        kept.extend((data.len() as u32).to_be_bytes());
        kept.extend(kind);
        kept.extend(data);
        kept.extend(checksum.sum().to_be_bytes());
    }
    kept
}

/// Puts chunks behind the header of a PNG.
fn with_png_metadata(file: &[u8], metadata: &[u8]) -> Vec<u8> {
    // The signature, and the chunk IHDR of 13 bytes with its length, type and checksum.
    const HEADER: usize = 8 + 12 + 13;
    let (header, rest) = file.split_at(HEADER.min(file.len()));
    [header, metadata, rest].concat()
}

fn webp_kind(file: &[u8], image: &RgbImage) -> Result<Kind, WebpError> {
    if riff_chunks(file).any(|(kind, _)| &kind == b"VP8L") {
        return Ok(Kind::LosslessWebp);
    }
    let (mut low, mut high) = (1, 100);
    while low < high {
        let middle = (low + high) / 2;
        if webp(image, middle)?.len() < file.len() { low = middle + 1 } else { high = middle }
    }
    Ok(Kind::LossyWebp { quality: low })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Subsampling, jpeg};
    use crate::metadata::Metadata;
    use crate::{Limits, decode};

    fn image(shift: u32) -> RgbImage {
        RgbImage::from_fn(50, 34, |x, y| [(x * 5) as u8, (y * 7 + shift) as u8, ((x * y) % 200) as u8])
    }

    fn saved_like(file: &[u8], image: &RgbImage) -> Vec<u8> {
        let found = decode(file, &Limits::default()).unwrap();
        FileStyle::read(file, found.format, &found.rgb).unwrap().save(image).unwrap()
    }

    /// Inserts a segment behind the start of a JPEG.
    fn with_segment(file: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u16 + 2).to_be_bytes();
        [&file[..2], &[0xff, marker], &length, data, &file[2..]].concat()
    }

    #[test]
    fn jpegs_keep_tables_subsampling_and_metadata() {
        let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x10\x01\x02\0\x04\0\0\0cam\0\0\0\0\0";
        for subsampling in [Subsampling::Full, Subsampling::Half, Subsampling::Quarter] {
            let file = jpeg(&image(0), 83, subsampling).unwrap();
            let file = with_segment(&with_segment(&file, 0xe1, exif), 0xfe, b"a comment");
            let twin = saved_like(&file, &image(30));
            assert_eq!(Compression::read(&twin), Compression::read(&file), "{subsampling:?}");
            assert_eq!(Metadata::read(&twin, Format::Jpeg), Metadata::read(&file, Format::Jpeg));
            let markers = |file: &[u8]| segments(file).map(|segment| segment.marker).collect::<Vec<_>>();
            assert_eq!(markers(&twin)[..3], markers(&file)[..3]);
            let expected = jpeg(&image(30), 83, subsampling).unwrap();
            let pixels = |file: &[u8]| decode(file, &Limits::default()).unwrap().rgb;
            assert_eq!(pixels(&twin), pixels(&expected));
        }
    }

    #[test]
    fn jpegs_keep_tables_of_other_programs() {
        let mut file = jpeg(&image(0), 83, Subsampling::Quarter).unwrap();
        let table = file.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap() + 5;
        file[table + 7] += 3;
        // Both tables in one segment.
        let second = file[table..].windows(2).position(|pair| pair == [0xff, TABLES]).unwrap() + table;
        let length = u16::from_be_bytes([file[table - 3], file[table - 2]]) + 65;
        file.splice(table - 3..table - 1, length.to_be_bytes());
        file.drain(second..second + 4);
        let twin = saved_like(&file, &image(30));
        assert_eq!(Compression::read(&twin).unwrap().tables, Compression::read(&file).unwrap().tables);
    }

    #[test]
    fn jpegs_lose_content_credentials_and_the_index_of_other_pictures() {
        let file = jpeg(&image(0), 90, Subsampling::Full).unwrap();
        let file = with_segment(&with_segment(&file, 0xeb, b"JP\0\0"), 0xe2, b"MPF\0II*\0");
        assert!(!segments(&saved_like(&file, &image(3))).any(|segment| matches!(segment.marker, 0xeb | 0xe2)));
    }

    #[test]
    fn other_formats_are_kept() {
        let plain = |format: ImageFormat| {
            let buffer = Buffer::from_raw(50, 34, image(0).into_data()).unwrap();
            let mut file = Cursor::new(Vec::new());
            DynamicImage::ImageRgb8(buffer).write_to(&mut file, format).unwrap();
            file.into_inner()
        };
        for (file, is_lossless) in [
            (plain(ImageFormat::Png), true),
            (plain(ImageFormat::Bmp), true),
            (plain(ImageFormat::Tiff), true),
            (plain(ImageFormat::WebP), true),
            (plain(ImageFormat::Gif), false),
            (webp(&image(0), 70).unwrap(), false),
        ] {
            let twin = decode(&saved_like(&file, &image(30)), &Limits::default()).unwrap();
            assert_eq!(twin.format, Format::of(&file).unwrap());
            assert_eq!(twin.rgb == image(30), is_lossless, "{}", twin.format);
        }
        let file = webp(&image(0), 70).unwrap();
        let found = FileStyle::read(&file, Format::WebP, &image(0)).unwrap().kind;
        assert!(matches!(found, Kind::LossyWebp { quality: 64..=76 }), "{found:?}");
    }

    #[test]
    fn pngs_keep_text_and_grey() {
        let grey = RgbImage::from_fn(20, 20, |x, y| [(x * 9 + y) as u8; 3]);
        let file = with_png_metadata(&png(&grey, true).unwrap(), b"\0\0\0\x05tEXta\0bcd\0\0\0\0");
        let twin = saved_like(&file, &grey);
        assert!(is_grey_png(&twin) && png_chunks(&twin).any(|(kind, data)| &kind == b"tEXt" && data == b"a\0bcd"));
        assert_eq!(decode(&twin, &Limits::default()).unwrap().rgb, grey);
    }
}
