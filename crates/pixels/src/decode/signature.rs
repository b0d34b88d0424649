//! Names of files that are not read, by their first bytes.

use super::DecodeError;

/// A kind of file that is not an image.
#[derive(Clone, Copy)]
pub(super) struct Other {
    /// The name with its article.
    pub(super) name: &'static str,
    /// What to do with the file.
    advice: &'static str,
}

impl From<Other> for DecodeError {
    fn from(Other { name, advice }: Other) -> DecodeError {
        DecodeError::OtherContent { name, advice }
    }
}

/// Returns the error for a file in a known format that is not read. `None` if the format is unknown or may be read.
pub(super) fn unsupported(bytes: &[u8]) -> Option<DecodeError> {
    match image(bytes) {
        Some(name) => Some(unsupported_image(name)),
        None => other(bytes).map(DecodeError::from),
    }
}

fn unsupported_image(name: &str) -> DecodeError {
    DecodeError::Unsupported(format!("{name} is not read; convert it to PNG or JPEG"))
}

/// Names an image format that is not read.
pub(super) fn image(bytes: &[u8]) -> Option<&'static str> {
    let starts = |signature: &[u8]| bytes.starts_with(signature);
    let name = match bytes {
        _ if bytes.get(4..8) == Some(b"ftyp") => return media(bytes),
        _ if starts(b"\0\0\0\x0cJXL \r\n\x87\n") || starts(b"\xff\x0a") => "JPEG XL",
        _ if starts(b"\0\0\0\x0cjP  \r\n\x87\n") || starts(b"\xff\x4f\xff\x51") => "JPEG 2000",
        _ if starts(b"8BPS") => "Photoshop PSD",
        _ if starts(b"II\x2b\0") || starts(b"MM\0\x2b") => "BigTIFF",
        _ if starts(b"II*\0") && bytes.get(8..10) == Some(b"CR") => "camera raw CR2",
        _ if starts(b"IIRO") || starts(b"IIRS") || starts(b"MMOR") => "camera raw ORF",
        _ if starts(b"IIU\0") => "camera raw RW2",
        _ if starts(b"FUJIFILMCCD-RAW") => "camera raw RAF",
        _ if starts(b"FOVb") => "camera raw X3F",
        _ if starts(b"\0MRM") => "camera raw MRW",
        _ if starts(b"II\x1a\0\0\0HEAPCCDR") => "camera raw CRW",
        // The number of images follows. Without one, the file may be a TGA.
        _ if starts(b"\0\0\x01\0") && matches!(bytes.get(4..6), Some([1..=255, 0])) => "ICO",
        _ if starts(b"\0\0\x02\0") && matches!(bytes.get(4..6), Some([1..=255, 0])) => "CUR",
        _ if starts(b"DDS ") => "DDS",
        _ if starts(b"qoif") => "QOI",
        _ if starts(b"farbfeld") => "farbfeld",
        _ if starts(b"\x76\x2f\x31\x01") => "OpenEXR",
        _ if starts(b"#?RADIANCE") || starts(b"#?RGBE") => "Radiance HDR",
        [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..] => "Netpbm",
        // Version, encoding and bits per sample.
        [0x0A, 0 | 2..=5, 0 | 1, 1 | 2 | 4 | 8, ..] => "PCX",
        _ if bytes.ends_with(b"TRUEVISION-XFILE.\0") => "TGA",
        _ if is_svg(bytes) => "SVG",
        _ if starts(b"II\xbc\x01") => "JPEG XR",
        _ if starts(b"gimp xcf ") => "GIMP XCF",
        _ if starts(b"AT&TFORM") => "DjVu",
        _ if starts(b"icns") => "ICNS",
        _ if starts(&[0; 128]) && bytes.get(128..132) == Some(b"DICM") => "DICOM",
        _ if starts(b"SIMPLE  =") => "FITS",
        _ if starts(b"%!PS") || starts(b"\xc5\xd0\xd3\xc6") => "PostScript",
        _ if starts(b"\xd7\xcd\xc6\x9a") => "WMF",
        _ if starts(b"\x01\0\0\0") && bytes.get(40..44) == Some(b" EMF") => "EMF",
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
        () if has(&[b"crx "]) => "camera raw CR3",
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

/// Recognises a file that is not an image.
pub(super) fn other(bytes: &[u8]) -> Option<Other> {
    const DOWNLOAD: &str = "download the image again";
    const UNPACK: &str = "unpack it";
    const SAVE_IMAGES: &str = "save its images as PNG";
    const SAVE_FRAMES: &str = "save its frames as PNG or JPEG";
    const LEAVE_OUT: &str = "leave it out";
    let starts = |signature: &[u8]| bytes.starts_with(signature);
    let text = start_of_text(bytes);
    let tag = |name: &[u8]| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    // The name of the first file in the archive.
    let first_name = || memchr::memmem::find(&bytes[..bytes.len().min(128)], b"/data.pkl").is_some();
    let (name, advice) = match bytes {
        _ if starts(b"version https://git-lfs.github.com/spec/") => {
            ("a Git LFS pointer", "run `git lfs pull` in its repository")
        }
        _ if tag(b"<!doctype html") || tag(b"<html") || tag(b"<head") => ("an HTML page", DOWNLOAD),
        _ if tag(b"<?xml") || tag(b"<error>") => {
            ("an XML document", "if it is a server's error message, download the image again")
        }
        _ if starts(b"\x00\x05\x16\x07") => {
            ("a file of attributes (`._…`), which macOS stores beside an image", LEAVE_OUT)
        }
        _ if starts(b"%PDF-") => ("a PDF document", "save its images as PNG or JPEG"),
        _ if starts(b"PK\x03\x04") && first_name() => ("a PyTorch file", "save its images as PNG, or leave it out"),
        _ if starts(b"PK\x03\x04") => ("a zip archive", "give the archive to ingest as the source, or unpack it"),
        [0x80, 2..=5, ..] => ("a Python pickle", "save its images as PNG, or leave it out"),
        _ if starts(b"\x1f\x8b") => ("a gzip archive", UNPACK),
        _ if starts(b"7z\xbc\xaf\x27\x1c") => ("a 7-Zip archive", UNPACK),
        _ if starts(b"Rar!\x1a\x07") => ("a RAR archive", UNPACK),
        _ if starts(b"\xfd7zXZ\0") => ("an xz archive", UNPACK),
        _ if starts(b"BZh") && bytes.get(4..10) == Some(b"1AY&SY") => ("a bzip2 archive", UNPACK),
        _ if starts(b"\x28\xb5\x2f\xfd") => ("a Zstandard archive", UNPACK),
        _ if bytes.get(257..262) == Some(b"ustar") => ("a tar archive", UNPACK),
        _ if starts(b"PAR1") => ("a parquet table", "give the table to ingest as the source"),
        _ if starts(b"\x89HDF\r\n\x1a\n") => ("an HDF5 file", SAVE_IMAGES),
        _ if starts(b"SQLite format 3\0") => ("an SQLite database", SAVE_IMAGES),
        _ if starts(b"\x93NUMPY") => ("a NumPy array", "save it as PNG"),
        _ if starts(b"GGUF") || is_safetensors(bytes) || is_onnx(bytes) => ("a file of model weights", LEAVE_OUT),
        _ if is_sound(bytes) => ("a sound", LEAVE_OUT),
        _ if is_video(bytes) => ("a video", SAVE_FRAMES),
        _ if starts(b"RIFF") && bytes.get(8..12) != Some(b"WEBP") => ("a sound or video", SAVE_FRAMES),
        _ if starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") => ("an Office document", SAVE_IMAGES),
        _ if starts(b"\x7fELF") || starts(b"MZ\x90\0") => ("a program", LEAVE_OUT),
        _ => return None,
    };
    Some(Other { name, advice })
}

fn is_sound(bytes: &[u8]) -> bool {
    const SIGNATURES: [&[u8]; 5] = [b"fLaC", b"OggS", b"MThd", b".snd", b"#!AMR"];
    let brand = |name: &[u8]| bytes.get(4..8) == Some(b"ftyp") && bytes.get(8..8 + name.len()) == Some(name);
    SIGNATURES.iter().any(|signature| bytes.starts_with(signature))
        || bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE")
        || bytes.starts_with(b"FORM") && matches!(bytes.get(8..12), Some(b"AIFF" | b"AIFC"))
        || brand(b"M4A ")
        || brand(b"M4B ")
        || matches!(bytes, [b'I', b'D', b'3', 2..=4, ..])
        // The header of a frame of MP3 (layer III) or of AAC in ADTS.
        || matches!(bytes, [0xff, 0xfa | 0xfb | 0xf2 | 0xf3 | 0xe2 | 0xe3 | 0xf0 | 0xf1 | 0xf8 | 0xf9, ..])
}

fn is_video(bytes: &[u8]) -> bool {
    const SYNC: u8 = 0x47;
    const PACKET: usize = 188;
    let starts = |signature: &[u8]| bytes.starts_with(signature);
    bytes.get(4..8) == Some(b"ftyp")
        || starts(b"\0") && matches!(bytes.get(4..8), Some(b"moov" | b"mdat"))
        || starts(b"\x1a\x45\xdf\xa3")
        || starts(b"RIFF") && bytes.get(8..12) == Some(b"AVI ")
        || starts(b"FLV\x01")
        || starts(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")
        || starts(b"\0\0\x01\xba")
        || starts(b"\0\0\x01\xb3")
        // Packets of an MPEG transport stream. GIFs begin with the same byte.
        || !starts(b"GIF8") && [0, PACKET, 2 * PACKET].iter().all(|&at| bytes.get(at) == Some(&SYNC))
}

/// Whether a file begins like one of ONNX: the protobuf fields of the version and of the program's name.
fn is_onnx(bytes: &[u8]) -> bool {
    let [0x08, 3..=20, 0x12, length @ 1..=127, rest @ ..] = bytes else { return false };
    let name = rest.get(..usize::from(*length));
    name.is_some_and(|name| name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '))
}

/// Whether a file begins like one of safetensors: the length of a JSON object, and the object.
fn is_safetensors(bytes: &[u8]) -> bool {
    const MAX_HEADER: u64 = 100_000_000;
    let length = bytes.first_chunk().map(|word| u64::from_le_bytes(*word));
    length.is_some_and(|length| (2..=MAX_HEADER).contains(&length)) && matches!(bytes.get(8..10), Some(b"{\"" | b"{}"))
}

/// Returns the error for a file that no signature of an image matches.
pub(super) fn unknown(bytes: &[u8]) -> DecodeError {
    if is_tga(bytes) {
        return unsupported_image("TGA");
    }
    without_signature(bytes).map_or(DecodeError::NotAnImage, DecodeError::from)
}

/// Recognises a file that is not an image and has no signature.
pub(super) fn without_signature(bytes: &[u8]) -> Option<Other> {
    if bytes.iter().all(|&byte| byte == 0) {
        return Some(Other { name: "nothing but zero bytes", advice: "copy or download the image again" });
    }
    is_text(bytes)
        .then_some(Other { name: "plain text", advice: "if it is a server's error message, download the image again" })
}

/// Whether a file may be a TGA without a footer, which has no signature (Truevision TGA 2.0, section "TGA file header").
pub(super) fn is_tga(bytes: &[u8]) -> bool {
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
mod tests;
