//! Orientation of images from EXIF and XMP, as in Pillow's `ImageOps.exif_transpose`.
//!
//! EXIF comes first. XMP (`tiff:Orientation`) counts only if EXIF states no orientation. Compressed text chunks of PNGs
//! and XMP in TIFFs are not searched; Pillow searches both.

use ::image::metadata::Orientation;
use memchr::memmem;

use super::Format;
use crate::metadata::{png_chunks, riff_chunks, segments};

/// Reads the orientation from the metadata of a file. TIFFs have it in their own directory instead.
pub(super) fn read(file: &[u8], format: Format) -> Orientation {
    let (mut exif, mut xmp, mut raw) = (None, None, None);
    match format {
        Format::Jpeg => {
            for segment in segments(file).filter(|segment| segment.marker == 0xE1) {
                exif = exif.or_else(|| segment.data.strip_prefix(b"Exif\0\0"));
                xmp = segment.data.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0").or(xmp);
            }
        }
        Format::WebP => {
            for (kind, data) in riff_chunks(file) {
                match &kind {
                    b"EXIF" => exif = exif.or(Some(data)),
                    b"XMP " => xmp = xmp.or(Some(data)),
                    _ => {}
                }
            }
        }
        Format::Png => {
            for (kind, data) in png_chunks(file) {
                match &kind {
                    b"eXIf" => exif = Some(data),
                    // A compression flag and method, a language and a translated keyword precede the text.
                    b"iTXt" => xmp = data.strip_prefix(b"XML:com.adobe.xmp\0\0").or(xmp),
                    b"tEXt" => raw = data.strip_prefix(b"Raw profile type exif\0").or(raw),
                    _ => {}
                }
            }
        }
        Format::Bmp | Format::Tiff | Format::Gif => {}
    }
    let raw = raw.filter(|_| exif.is_none()).and_then(from_raw_profile);
    raw.as_deref().or(exif).and_then(from_exif).or_else(|| xmp.and_then(from_xmp)).unwrap_or(Orientation::NoTransforms)
}

/// Reads the orientation from a TIFF structure. Some programs write the prefix that it has in JPEGs to other formats.
fn from_exif(exif: &[u8]) -> Option<Orientation> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff.strip_prefix(b"Exif\0\0").unwrap_or(tiff))
}

/// Reads the orientation from XMP in UTF-8: an attribute or an element.
fn from_xmp(xmp: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    memmem::find_iter(xmp, NAME).find_map(|at| {
        let after = &xmp[at + NAME.len()..];
        let value = after.strip_prefix(b"=\"").or_else(|| after.strip_prefix(b">"))?;
        let digit = value.first().filter(|byte| byte.is_ascii_digit())?;
        Some(Orientation::from_exif(digit - b'0').unwrap_or(Orientation::NoTransforms))
    })
}

/// Decodes EXIF that ImageMagick writes to PNGs as text: three lines of header, then hexadecimal digits.
fn from_raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .split(|&byte| byte == b'\n')
        .skip(3)
        .flatten()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|&byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    Some(digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPRIGHT: Orientation = Orientation::NoTransforms;

    /// EXIF with this orientation.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        tiff
    }

    fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        for (kind, data) in chunks {
            file.extend(*kind);
            file.extend((data.len() as u32).to_le_bytes());
            file.extend(*data);
            file.resize(file.len() + data.len() % 2, 0);
        }
        file
    }

    fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in chunks {
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(*kind);
            file.extend(*data);
            file.extend([0; 4]);
        }
        file
    }

    fn jpeg(contents: &[&[u8]]) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8];
        for content in contents {
            file.extend([0xFF, 0xE1]);
            file.extend((content.len() as u16 + 2).to_be_bytes());
            file.extend(*content);
        }
        file
    }

    #[test]
    fn reads_exif_with_and_without_its_prefix() {
        let plain = exif(6);
        let prefixed = [b"Exif\0\0".as_slice(), &plain].concat();
        let twice = [b"Exif\0\0".as_slice(), &prefixed].concat();
        for data in [&plain, &prefixed, &twice] {
            assert_eq!(read(&webp(&[(b"EXIF", data)]), Format::WebP), Orientation::Rotate90);
            assert_eq!(read(&png(&[(b"eXIf", data)]), Format::Png), Orientation::Rotate90);
        }
        assert_eq!(read(&jpeg(&[&prefixed]), Format::Jpeg), Orientation::Rotate90);
        assert_eq!(read(&jpeg(&[&plain]), Format::Jpeg), UPRIGHT);
    }

    #[test]
    fn reads_xmp_if_exif_states_no_orientation() {
        let attribute = b"<rdf:Description tiff:Orientation=\"8\"/>".as_slice();
        let element = b"<tiff:Orientation>8</tiff:Orientation>".as_slice();
        for xmp in [attribute, element] {
            let in_jpeg = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), xmp].concat();
            let in_png = [b"XML:com.adobe.xmp\0\0\0\0\0".as_slice(), xmp].concat();
            assert_eq!(read(&jpeg(&[&in_jpeg]), Format::Jpeg), Orientation::Rotate270);
            assert_eq!(read(&webp(&[(b"XMP ", xmp)]), Format::WebP), Orientation::Rotate270);
            assert_eq!(read(&png(&[(b"iTXt", &in_png)]), Format::Png), Orientation::Rotate270);
            let both = webp(&[(b"XMP ", xmp), (b"EXIF", &exif(3))]);
            assert_eq!(read(&both, Format::WebP), Orientation::Rotate180);
        }
        for xmp in [b"<tiff:Orientation>9</tiff:Orientation>".as_slice(), b"tiff:Orientation", b"tiff:Orientation=\""] {
            assert_eq!(read(&webp(&[(b"XMP ", xmp)]), Format::WebP), UPRIGHT);
        }
    }

    #[test]
    fn reads_raw_profiles_of_pngs() {
        let digits: String = exif(3).iter().map(|byte| format!("{byte:02x}")).collect();
        let (first, second) = digits.split_at(20);
        let text = format!("Raw profile type exif\0\nexif\n      34\n{first}\n{second}\n");
        assert_eq!(read(&png(&[(b"tEXt", text.as_bytes())]), Format::Png), Orientation::Rotate180);
        let broken = text.replace(first, "no digits");
        assert_eq!(read(&png(&[(b"tEXt", broken.as_bytes())]), Format::Png), UPRIGHT);
    }
}
