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
        _ if starts(b"FOVb") => "a camera raw file (X3F)",
        _ if starts(b"\0MRM") => "a camera raw file (MRW)",
        _ if starts(b"II\x1a\0\0\0HEAPCCDR") => "a camera raw file (CRW)",
        // The number of images follows. Without one, the file may be a TGA.
        _ if starts(b"\0\0\x01\0") && matches!(bytes.get(4..6), Some([1..=255, 0])) => "an icon (ICO)",
        _ if starts(b"\0\0\x02\0") && matches!(bytes.get(4..6), Some([1..=255, 0])) => "a cursor (CUR)",
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
        _ if tag(b"<!doctype html") || tag(b"<html") || tag(b"<head") => {
            "it is an HTML page, not an image; download the image again"
        }
        _ if tag(b"<?xml") || tag(b"<error>") => {
            "it is not an image but an XML document, such as a server's error message; download the image again"
        }
        _ if starts(b"\x00\x05\x16\x07") => {
            "it is not an image but the attributes of one, which macOS stores beside it in a file named `._…`; leave it out"
        }
        _ if starts(b"%PDF-") => "it is a PDF document, not an image; save its images as PNG or JPEG",
        _ if starts(b"PK\x03\x04") && first_name() => "it is a PyTorch file, not an image",
        _ if starts(b"PK\x03\x04") => "it is a zip archive, not an image; give the archive as the source, or unpack it",
        [0x80, 2..=5, ..] => "it is a Python pickle, not an image",
        _ if starts(b"\x1f\x8b") => "it is a gzip archive, not an image; unpack it",
        _ if starts(b"7z\xbc\xaf\x27\x1c") => "it is a 7-Zip archive, not an image; unpack it",
        _ if starts(b"Rar!\x1a\x07") => "it is a RAR archive, not an image; unpack it",
        _ if starts(b"\xfd7zXZ\0") => "it is an xz archive, not an image; unpack it",
        _ if starts(b"BZh") && bytes.get(4..10) == Some(b"1AY&SY") => "it is a bzip2 archive, not an image; unpack it",
        _ if starts(b"\x28\xb5\x2f\xfd") => "it is a Zstandard archive, not an image; unpack it",
        _ if starts(b"PAR1") => "it is a parquet table, not an image; give the table as the source",
        _ if starts(b"\x89HDF\r\n\x1a\n") => "it is an HDF5 file, not an image",
        _ if starts(b"SQLite format 3\0") => "it is an SQLite database, not an image",
        _ if starts(b"GGUF") || is_safetensors(bytes) => "it is a file of model weights, not an image",
        _ if bytes.get(257..262) == Some(b"ustar") => "it is a tar archive, not an image; unpack it",
        _ if starts(b"\x93NUMPY") => "it is a NumPy array, not an image",
        _ if bytes.get(4..8) == Some(b"ftyp") => "it is a video, not an image; save its frames as PNG or JPEG",
        _ if starts(b"RIFF") && bytes.get(8..12) != Some(b"WEBP") => "it is a sound or video, not an image",
        _ => return None,
    })
}

/// Whether a file begins like one of safetensors: the length of a JSON object, and the object.
fn is_safetensors(bytes: &[u8]) -> bool {
    const MAX_HEADER: u64 = 100_000_000;
    let length = bytes.first_chunk().map(|word| u64::from_le_bytes(*word));
    length.is_some_and(|length| (2..=MAX_HEADER).contains(&length)) && matches!(bytes.get(8..10), Some(b"{\"" | b"{}"))
}

/// Returns the error for a file that no signature of an image matches.
pub(super) fn unknown(bytes: &[u8]) -> DecodeError {
    if bytes.iter().all(|&byte| byte == 0) {
        return DecodeError::OtherContent("every byte of it is zero; copy or download the image again");
    }
    if is_tga(bytes) {
        return DecodeError::Unsupported("TGA is not read; convert it to PNG or JPEG".into());
    }
    if is_text(bytes) {
        return DecodeError::OtherContent(
            "it is not an image but plain text, such as a server's error message; download the image again",
        );
    }
    DecodeError::NotAnImage
}

/// Whether a file may be a TGA without a footer, which has no signature (Truevision TGA 2.0, section "TGA file header").
fn is_tga(bytes: &[u8]) -> bool {
    let Some(&[_, map, kind, m0, m1, l0, l1, map_bits, _, _, _, _, w0, w1, h0, h1, bits, flags]) = bytes.first_chunk()
    else {
        return false;
    };
    let has_map = match (map, kind) {
        (0, 2 | 3 | 10 | 11) => [m0, m1, l0, l1, map_bits] == [0; 5],
        (1, 1 | 9) => matches!(map_bits, 15 | 16 | 24 | 32) && [l0, l1] != [0, 0],
        _ => false,
    };
    has_map && [w0, w1] != [0, 0] && [h0, h1] != [0, 0] && matches!(bits, 8 | 15 | 16 | 24 | 32) && flags & 0xc0 == 0
}

/// Whether the start of a file is text in UTF-8 without control characters.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(1024)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The last character may be cut off.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
}

#[cfg(test)]
mod tests {
    use super::super::Format;

    #[test]
    fn names_formats_that_are_not_read() {
        let tar = [&[0; 257][..], b"ustar"].concat();
        let cases: [(&[u8], &str, &str); 51] = [
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
            (b"FOVb\0\0\x02\0", "unsupported", "X3F"),
            (b"\0MRM\0\0\0\x08", "unsupported", "MRW"),
            (b"\0\0\x02\0\0\0\0\0\0\0\0\0\x04\0\x03\0\x18\0pixels", "unsupported", "TGA"),
            (b"\xfd7zXZ\0\0", "not_an_image", "xz archive"),
            (b"BZh91AY&SY\0", "not_an_image", "bzip2"),
            (b"\x28\xb5\x2f\xfd\x04", "not_an_image", "Zstandard"),
            (b"PAR1\x15\0", "not_an_image", "parquet"),
            (b"\x89HDF\r\n\x1a\n\0", "not_an_image", "HDF5"),
            (b"\x40\0\0\0\0\0\0\0{\"weight\":{}}", "not_an_image", "model weights"),
            (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "not_an_image", "macOS"),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "not_an_image", "XML"),
            (b"<Error><Code>NoSuchKey</Code></Error>", "not_an_image", "XML"),
            (b"{\"error\": \"rate limit\"}", "not_an_image", "plain text"),
            (b"404: Not Found", "not_an_image", "plain text"),
            (b"nicht gef\xc3\xbcnd\xc3", "not_an_image", "plain text"),
            (&[0; 300], "not_an_image", "zero"),
            (b"\x01\x02\x03\xff", "not_an_image", "it is not an image"),
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
