//! Size and blocks of metadata in the header of a file. Values are not interpreted.

use pixels::Format;
use pixels::metadata::{png_chunks, riff_chunks, segments};

/// What the header of a file contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Width and height in pixels, if the header states them.
    pub(super) size: Option<[u32; 2]>,
    /// An ICC profile.
    pub(super) icc: bool,
    /// An XMP packet.
    pub(super) xmp: bool,
    /// Photoshop's image resources, which also hold IPTC.
    pub(super) photoshop: bool,
    /// A comment or a text chunk, other than XMP.
    pub(super) text: bool,
    /// The JFIF segment of a JPEG.
    pub(super) jfif: bool,
    /// Adobe's segment of a JPEG.
    pub(super) adobe: bool,
    /// The index of several pictures in one file, as phones write.
    pub(super) multi_picture: bool,
    /// The resolution of a PNG.
    pub(super) resolution: bool,
    /// The gamma, chromaticities or sRGB intent of a PNG.
    pub(super) colour_space: bool,
    /// Lossless compression of a WebP.
    pub(super) lossless: bool,
}

impl Header {
    /// Reads a header. Stops at damaged data and keeps what was found before.
    pub(super) fn read(file: &[u8], format: Format) -> Header {
        let mut header = Header::default();
        match format {
            Format::Jpeg => header.read_jpeg(file),
            Format::Png => header.read_png(file),
            Format::WebP => header.read_webp(file),
            Format::Gif => header.size = little_endian_pair(file, 6),
            // The size of the older header, OS/2's, differs; such files are rare.
            Format::Bmp => header.size = bmp_size(file),
            Format::Tiff => {}
        }
        header
    }

    /// Whether there is metadata beyond the size.
    pub(super) fn has_metadata(&self) -> bool {
        let Header { icc, xmp, photoshop, text, jfif, adobe, multi_picture, resolution, colour_space, .. } = *self;
        icc || xmp || photoshop || text || jfif || adobe || multi_picture || resolution || colour_space
    }

    fn read_jpeg(&mut self, file: &[u8]) {
        for segment in segments(file) {
            let data = segment.data;
            match segment.marker {
                0xe0 => self.jfif |= data.starts_with(b"JFIF\0"),
                0xe1 => self.xmp |= data.starts_with(b"http://ns.adobe.com/xap/1.0/\0"),
                0xe2 => {
                    self.icc |= data.starts_with(b"ICC_PROFILE\0");
                    self.multi_picture |= data.starts_with(b"MPF\0");
                }
                0xed => self.photoshop |= data.starts_with(b"Photoshop 3.0\0"),
                0xee => self.adobe |= data.starts_with(b"Adobe"),
                0xfe => self.text = true,
                _ => {}
            }
        }
    }

    fn read_png(&mut self, file: &[u8]) {
        for (kind, data) in png_chunks(file) {
            match &kind {
                b"IHDR" if self.size.is_none() => self.size = big_endian_pair(data),
                b"iCCP" => self.icc = true,
                b"iTXt" if data.starts_with(b"XML:com.adobe.xmp\0") => self.xmp = true,
                b"tEXt" | b"zTXt" | b"iTXt" => self.text = true,
                b"pHYs" => self.resolution = true,
                b"gAMA" | b"cHRM" | b"sRGB" | b"cICP" => self.colour_space = true,
                _ => {}
            }
        }
    }

    fn read_webp(&mut self, file: &[u8]) {
        for (kind, data) in riff_chunks(file) {
            match &kind {
                b"VP8X" => self.size = extended_webp_size(data),
                b"VP8 " if self.size.is_none() => {
                    // RFC 6386, section 9.1: frame tag and start code of three bytes each, then 14 bits for each side.
                    self.size = little_endian_pair(data, 6).map(|size| size.map(|side| side & 0x3fff));
                }
                b"VP8L" => {
                    self.lossless = true;
                    self.size = self.size.or_else(|| lossless_webp_size(data));
                }
                b"ICCP" => self.icc = true,
                b"XMP " => self.xmp = true,
                _ => {}
            }
        }
    }
}

fn big_endian_pair(data: &[u8]) -> Option<[u32; 2]> {
    let (sides, _) = data.first_chunk::<8>()?.as_chunks::<4>();
    Some([u32::from_be_bytes(sides[0]), u32::from_be_bytes(sides[1])])
}

/// Reads two numbers of 16 bits.
fn little_endian_pair(data: &[u8], start: usize) -> Option<[u32; 2]> {
    let [a, b, c, d] = *data.get(start..)?.first_chunk()?;
    Some([u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])].map(u32::from))
}

/// Reads the size in a BMP's information header. The height is negative if the rows go down.
fn bmp_size(file: &[u8]) -> Option<[u32; 2]> {
    let (sides, _) = file.get(18..)?.first_chunk::<8>()?.as_chunks::<4>();
    Some([i32::from_le_bytes(sides[0]), i32::from_le_bytes(sides[1])].map(i32::unsigned_abs))
}

/// Reads the size in the chunk `VP8X`: flags of four bytes, then 24 bits for each side less 1.
fn extended_webp_size(data: &[u8]) -> Option<[u32; 2]> {
    let [a, b, c, d, e, f] = *data.get(4..)?.first_chunk()?;
    Some([u32::from_le_bytes([a, b, c, 0]) + 1, u32::from_le_bytes([d, e, f, 0]) + 1])
}

/// Reads the size of a lossless WebP: a signature byte, then 14 bits for each side less 1.
fn lossless_webp_size(data: &[u8]) -> Option<[u32; 2]> {
    let bits = u32::from_le_bytes(*data.get(1..)?.first_chunk()?);
    Some([(bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1])
}

#[cfg(test)]
mod tests {
    use pixels::RgbImage;
    use pixels::encode;
    use testing::containers::webp;

    use super::*;

    #[test]
    fn reads_sizes() {
        let lossy = encode::webp(&RgbImage::from_fn(20, 10, |x, _| [x as u8; 3]), 80).unwrap();
        assert_eq!(Header::read(&lossy, Format::WebP).size, Some([20, 10]));
        let extended = webp(&[(b"VP8X", &[0, 0, 0, 0, 0x1f, 3, 0, 9, 0, 0]), (b"XMP ", b"x")]);
        let header = Header::read(&extended, Format::WebP);
        assert_eq!((header.size, header.xmp, header.lossless), (Some([800, 10]), true, false));
        // 1 bit alpha and 3 bits version follow 13 for width and height less 1.
        let lossless = webp(&[(b"VP8L", &[0x2f, 19, 0x40, 2, 0])]);
        assert_eq!(Header::read(&lossless, Format::WebP).size, Some([20, 10]));
        assert!(Header::read(&lossless, Format::WebP).lossless);
        assert_eq!(Header::read(b"GIF89a\x05\0\x07\0", Format::Gif).size, Some([5, 7]));
        let mut bmp = vec![0; 26];
        bmp[18] = 5;
        bmp[22..26].copy_from_slice(&(-7_i32).to_le_bytes());
        assert_eq!(Header::read(&bmp, Format::Bmp).size, Some([5, 7]));
    }

    #[test]
    fn finds_segments_of_a_jpeg() {
        let mut file = vec![0xff, 0xd8];
        for (marker, data) in [
            (0xe0, b"JFIF\0".as_slice()),
            (0xe1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),
            (0xe2, b"ICC_PROFILE\0\x01\x01"),
            (0xed, b"Photoshop 3.0\0"),
            (0xee, b"Adobe"),
            (0xfe, b"hello"),
        ] {
            file.extend([0xff, marker, 0, data.len() as u8 + 2]);
            file.extend(data);
        }
        let expected =
            Header { icc: true, xmp: true, photoshop: true, text: true, jfif: true, adobe: true, ..Header::default() };
        assert_eq!(Header::read(&file, Format::Jpeg), expected);
        for length in 0..file.len() {
            let _ = Header::read(&file[..length], Format::Jpeg);
        }
    }
}
