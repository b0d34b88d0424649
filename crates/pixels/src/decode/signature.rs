//! Names of files that are not read, by their first bytes.

use super::DecodeError;

/// Returns the error for a file in a known format that is not read. `None` if the format is unknown or may be read.
pub(super) fn unsupported(bytes: &[u8]) -> Option<DecodeError> {
    if let Some(name) = image(bytes) {
        return Some(DecodeError::Unsupported(format!("{name} is not read; convert it to PNG or JPEG")));
    }
    other(bytes).map(DecodeError::OtherContent)
}

/// Names an image format that is not read.
fn image(bytes: &[u8]) -> Option<&'static str> {
    let starts = |signature: &[u8]| bytes.starts_with(signature);
    let name = match bytes {
        _ if bytes.get(4..8) == Some(b"ftyp") => return media(bytes),
        _ if starts(b"\0\0\0\x0cJXL \r\n\x87\n") || starts(b"\xff\x0a") => "JPEG XL",
        _ if starts(b"\0\0\0\x0cjP  \r\n\x87\n") || starts(b"\xff\x4f\xff\x51") => "JPEG 2000",
        _ if starts(b"8BPS") => "a Photoshop document (PSD)",
        _ if starts(b"II\x2b\0") || starts(b"MM\0\x2b") => "BigTIFF",
        _ if starts(b"II*\0") && bytes.get(8..10) == Some(b"CR") => "a camera raw file (CR2)",
        _ if starts(b"IIRO") || starts(b"IIRS") || starts(b"MMOR") => "a camera raw file (ORF)",
        _ if starts(b"IIU\0") => "a camera raw file (RW2)",
        _ if starts(b"FUJIFILMCCD-RAW") => "a camera raw file (RAF)",
        _ if starts(b"\0\0\x01\0") && bytes.get(5) == Some(&0) => "an icon (ICO)",
        _ if starts(b"\0\0\x02\0") && bytes.get(5) == Some(&0) => "a cursor (CUR)",
        _ if starts(b"DDS ") => "DDS",
        _ if starts(b"qoif") => "QOI",
        _ if starts(b"farbfeld") => "farbfeld",
        _ if starts(b"\x76\x2f\x31\x01") => "OpenEXR",
        _ if starts(b"#?RADIANCE") || starts(b"#?RGBE") => "Radiance HDR",
        [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..] => "a Netpbm image (PBM, PGM, PPM or PAM)",
        // Version, encoding and bits per sample.
        [0x0A, 0 | 2..=5, 0 | 1, 1 | 2 | 4 | 8, ..] => "PCX",
        _ if bytes.ends_with(b"TRUEVISION-XFILE.\0") => "TGA",
        _ if is_svg(bytes) => "SVG",
        _ => return None,
    };
    Some(name)
}

/// Names a file in the ISO base media format (ISO/IEC 14496-12) by its brands.
fn media(bytes: &[u8]) -> Option<&'static str> {
    let length = bytes.first_chunk().map_or(0, |&word| u32::from_be_bytes(word) as usize);
    let brands = bytes.get(8..length.min(bytes.len()).min(256)).unwrap_or_default();
    let has = |names: &[&[u8; 4]]| brands.as_chunks::<4>().0.iter().any(|brand| names.contains(&brand));
    Some(match () {
        () if has(&[b"avif", b"avis"]) => "AVIF",
        () if has(&[b"crx "]) => "a camera raw file (CR3)",
        () if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) => "HEIC",
        () => return None,
    })
}

fn is_svg(bytes: &[u8]) -> bool {
    let text = start_of_text(bytes);
    let has_root = memchr::memmem::find(&bytes[..bytes.len().min(4096)], b"<svg").is_some();
    text.starts_with(b"<svg") || (text.starts_with(b"<?xml") || text.starts_with(b"<!--")) && has_root
}

/// Skips a byte order mark and white space.
fn start_of_text(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
}

/// Names a file that is not an image.
fn other(bytes: &[u8]) -> Option<&'static str> {
    let starts = |signature: &[u8]| bytes.starts_with(signature);
    let text = start_of_text(bytes);
    let tag = |name: &[u8]| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    // The name of the first file in the archive.
    let first_name = || memchr::memmem::find(&bytes[..bytes.len().min(128)], b"/data.pkl").is_some();
    Some(match bytes {
        _ if starts(b"version https://git-lfs.github.com/spec/") => {
            "it is a Git LFS pointer, not the image; run `git lfs pull` in its repository"
        }
        _ if tag(b"<!doctype html") || tag(b"<html") => "it is an HTML page, not an image; download the image again",
        _ if starts(b"%PDF-") => "it is a PDF document, not an image; save its images as PNG or JPEG",
        _ if starts(b"PK\x03\x04") && first_name() => "it is a PyTorch file, not an image",
        _ if starts(b"PK\x03\x04") => "it is a zip archive, not an image; give the archive as the source, or unpack it",
        [0x80, 2..=5, ..] => "it is a Python pickle, not an image",
        _ if starts(b"\x1f\x8b") => "it is a gzip archive, not an image; unpack it",
        _ if starts(b"7z\xbc\xaf\x27\x1c") => "it is a 7-Zip archive, not an image; unpack it",
        _ if starts(b"Rar!\x1a\x07") => "it is a RAR archive, not an image; unpack it",
        _ if bytes.get(257..262) == Some(b"ustar") => "it is a tar archive, not an image; unpack it",
        _ if starts(b"\x93NUMPY") => "it is a NumPy array, not an image",
        _ if bytes.get(4..8) == Some(b"ftyp") => "it is a video, not an image; save its frames as PNG or JPEG",
        _ if starts(b"RIFF") && bytes.get(8..12) != Some(b"WEBP") => "it is a sound or video, not an image",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Format;

    #[test]
    fn names_formats_that_are_not_read() {
        let tar = [&[0; 257][..], b"ustar"].concat();
        let cases: [(&[u8], &str, &str); 34] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "unsupported", "AVIF"),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "unsupported", "CR3"),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "not_an_image", "video"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "unsupported", "JPEG XL"),
            (b"\xff\x0a\x01", "unsupported", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported", "JPEG 2000"),
            (b"\xff\x4f\xff\x51", "unsupported", "JPEG 2000"),
            (b"8BPS\0\x01", "unsupported", "PSD"),
            (b"II\x2b\0\x08\0\0\0", "unsupported", "BigTIFF"),
            (b"II*\0\x10\0\0\0CR\x02\0", "unsupported", "CR2"),
            (b"FUJIFILMCCD-RAW 0201", "unsupported", "RAF"),
            (b"IIRO\x08\0\0\0", "unsupported", "ORF"),
            (b"IIU\0\x18\0\0\0", "unsupported", "RW2"),
            (b"\0\0\x01\0\x01\0 ", "unsupported", "ICO"),
            (b"DDS |\0\0\0", "unsupported", "DDS"),
            (b"\x0a\x05\x01\x08\0\0\0\0", "unsupported", "PCX"),
            (b"\0\0\x02........TRUEVISION-XFILE.\0", "unsupported", "TGA"),
            (b"P6\n3 2\n255\n", "unsupported", "Netpbm"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported", "SVG"),
            (b"<?xml version='1.0'?>\n<svg/>", "unsupported", "SVG"),
            (b"\xef\xbb\xbf<!-- by hand --><svg/>", "unsupported", "SVG"),
            (b"<?xml version='1.0'?>\n<feed/>", "not_an_image", "it is not an image"),
            (b"\n<!DOCTYPE html><title>404</title>", "not_an_image", "HTML"),
            (b"version https://git-lfs.github.com/spec/v1\n", "not_an_image", "git lfs pull"),
            (b"%PDF-1.7", "not_an_image", "PDF"),
            (b"PK\x03\x04....model/data.pkl", "not_an_image", "PyTorch"),
            (b"PK\x03\x04....a.jpg", "not_an_image", "zip"),
            (b"\x80\x02}q\0", "not_an_image", "pickle"),
            (b"\x1f\x8b\x08", "not_an_image", "gzip"),
            (b"RIFF\0\0\0\0WAVE", "not_an_image", "sound"),
            (b"\x93NUMPY\x01\0", "not_an_image", "NumPy"),
            (&tar, "not_an_image", "tar"),
            (b"hello", "not_an_image", "it is not an image"),
        ];
        for (bytes, kind, text) in cases {
            let error = Format::of(bytes).unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn does_not_take_an_image_for_another_format() {
        for (bytes, format) in [
            (b"\xff\xd8\xff\xe0".as_slice(), Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"RIFF\0\0\0\0WEBP", Format::WebP),
            (b"GIF89a", Format::Gif),
            (b"BM\0\0\0\0", Format::Bmp),
            (b"II*\0\x08\0\0\0", Format::Tiff),
            (b"MM\0*\0\0\0\x08", Format::Tiff),
        ] {
            assert_eq!(Format::of(bytes), Ok(format));
        }
    }
}
