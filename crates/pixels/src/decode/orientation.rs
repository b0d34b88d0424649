//! Orientation of images from EXIF and XMP, as in Pillow's `ImageOps.exif_transpose`.
//!
//! EXIF comes first. XMP (`tiff:Orientation`) counts only if EXIF states no orientation. Like Pillow, this module
//! searches XMP for the property in UTF-8, and does not parse it.

use std::borrow::Cow;

use ::image::metadata::Orientation;
use memchr::memmem;

use super::Format;
use crate::metadata::png_text::{self, Budget};
use crate::metadata::{ByteOrder, Entry, entries, png_chunks, riff_chunks, segments};

/// Reads the orientation from the metadata of a file.
pub(super) fn read(file: &[u8], format: Format) -> Orientation {
    let orientation = match format {
        Format::Jpeg => {
            let (mut exif, mut xmp) = (None, None);
            for segment in segments(file).filter(|segment| segment.marker == 0xE1) {
                exif = exif.or_else(|| segment.data.strip_prefix(b"Exif\0\0"));
                xmp = segment.data.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0").or(xmp);
            }
            exif.and_then(from_exif).or_else(|| from_xmp(xmp?))
        }
        Format::WebP => {
            let find = |name: &[u8; 4]| riff_chunks(file).find(|(kind, _)| kind == name).map(|(_, data)| data);
            find(b"EXIF").and_then(from_exif).or_else(|| from_xmp(find(b"XMP ")?))
        }
        Format::Png => of_png(file),
        Format::Tiff => of_tiff(file),
        Format::Bmp | Format::Gif => None,
    };
    orientation.unwrap_or(Orientation::NoTransforms)
}

fn of_png(file: &[u8]) -> Option<Orientation> {
    let (mut exif, mut xmp, mut raw) = (None, None, None);
    let mut budget = Budget::default();
    for (kind, data) in png_chunks(file) {
        let mut text = || Some(png_text::text(kind, data, &mut budget));
        match png_text::keyword(kind, data) {
            Some(b"XML:com.adobe.xmp") => xmp = text(),
            Some(b"Raw profile type exif") => raw = text(),
            _ if &kind == b"eXIf" => exif = Some(Cow::Borrowed(data)),
            _ => {}
        }
    }
    let raw = || png_text::raw_profile(&raw?).map(Cow::Owned);
    exif.or_else(raw).and_then(|exif| from_exif(&exif)).or_else(|| from_xmp(&xmp?))
}

/// Reads the orientation from the first directory of a TIFF, or from its XMP.
fn of_tiff(file: &[u8]) -> Option<Orientation> {
    const ORIENTATION: u16 = 0x0112;
    const XMP: u16 = 0x02bc;
    let order = ByteOrder::of(file)?;
    let directory = order.u32(file, 4)?;
    let find = |tag: u16| entries(file, order, directory).find(|entry| entry.tag == tag);
    match find(ORIENTATION).and_then(Entry::number) {
        Some(number) => Orientation::from_exif(u8::try_from(number).ok()?),
        None => from_xmp(find(XMP)?.bytes()?),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::fixtures::{deflate, png, tiff_of_values, webp};

    const UPRIGHT: Orientation = Orientation::NoTransforms;

    /// EXIF with this orientation.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        tiff
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
        let text = format!("\nexif\n      34\n{first}\n{second}\n");
        let keyword = b"Raw profile type exif\0".as_slice();
        let plain = [keyword, text.as_bytes()].concat();
        let compressed = [keyword, b"\0", &deflate(text.as_bytes())].concat();
        assert_eq!(read(&png(&[(b"tEXt", &plain)]), Format::Png), Orientation::Rotate180);
        assert_eq!(read(&png(&[(b"zTXt", &compressed)]), Format::Png), Orientation::Rotate180);
        assert_eq!(read(&png(&[(b"zTXt", &compressed), (b"eXIf", &exif(6))]), Format::Png), Orientation::Rotate90);
        let broken = text.replace(first, "no digits");
        assert_eq!(read(&png(&[(b"tEXt", &[keyword, broken.as_bytes()].concat())]), Format::Png), UPRIGHT);
    }

    #[test]
    fn reads_compressed_xmp_of_pngs() {
        let xmp = deflate(b"<rdf:Description tiff:Orientation=\"8\"/>");
        let data = [b"XML:com.adobe.xmp\0\x01\0\0\0".as_slice(), &xmp].concat();
        assert_eq!(read(&png(&[(b"iTXt", &data)]), Format::Png), Orientation::Rotate270);
        assert_eq!(read(&png(&[(b"iTXt", &data[..data.len() - 20])]), Format::Png), UPRIGHT);
    }

    #[test]
    fn reads_xmp_of_tiffs_without_the_field() {
        let xmp: (u16, &[u8]) = (0x02bc, b"<tiff:Orientation>8</tiff:Orientation>");
        assert_eq!(read(&tiff_of_values(&[xmp]), Format::Tiff), Orientation::Rotate270);
        assert_eq!(read(&tiff_of_values(&[(0x0112, b"\x03"), xmp]), Format::Tiff), Orientation::Rotate180);
        assert_eq!(read(&tiff_of_values(&[(0x0112, b"\x01"), xmp]), Format::Tiff), UPRIGHT);
        assert_eq!(read(&exif(6), Format::Tiff), Orientation::Rotate90);
        let long = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x06\0\0\0\0";
        assert_eq!(read(long, Format::Tiff), Orientation::Rotate90);
    }
}
