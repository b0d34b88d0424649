use super::super::{DecodeError, Format};

/// Files, a part of the name that the error gives them, and a part of its advice.
const NOT_READ: [(&[u8], &str, &str); 41] = [
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC", CONVERT),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF", CONVERT),
    (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "CR3", CONVERT),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", CONVERT),
    (b"\xff\x0a\x01", "JPEG XL", CONVERT),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", CONVERT),
    (b"\xff\x4f\xff\x51", "JPEG 2000", CONVERT),
    (b"II\xbc\x01\x08\0\0\0", "JPEG XR", CONVERT),
    (b"8BPS\0\x01", "Photoshop PSD", CONVERT),
    (b"gimp xcf file\0", "GIMP XCF", CONVERT),
    (b"II\x2b\0\x08\0\0\0", "BigTIFF", CONVERT),
    (b"MM\0\x2b\0\x08\0\0", "BigTIFF", CONVERT),
    (b"II*\0\x10\0\0\0CR\x02\0", "CR2", CONVERT),
    (b"FUJIFILMCCD-RAW 0201", "RAF", CONVERT),
    (b"IIRO\x08\0\0\0", "ORF", CONVERT),
    (b"IIU\0\x18\0\0\0", "RW2", CONVERT),
    (b"FOVb\0\0\x02\0", "X3F", CONVERT),
    (b"\0MRM\0\0\0\x08", "MRW", CONVERT),
    (b"II\x1a\0\0\0HEAPCCDR", "CRW", CONVERT),
    (b"\0\0\x01\0\x01\0 ", "ICO", CONVERT),
    (b"\0\0\x02\0\x01\0 ", "CUR", CONVERT),
    (b"icns\0\0\x10\0", "ICNS", CONVERT),
    (b"DDS |\0\0\0", "DDS", CONVERT),
    (b"qoif\0\0\0\x01", "QOI", CONVERT),
    (b"farbfeld\0\0\0\x01", "farbfeld", CONVERT),
    (b"\x76\x2f\x31\x01\x02\0\0\0", "OpenEXR", CONVERT),
    (b"#?RADIANCE\n", "Radiance HDR", CONVERT),
    (b"P6\n3 2\n255\n", "Netpbm", CONVERT),
    (b"\x0a\x05\x01\x08\0\0\0\0", "PCX", CONVERT),
    (b"\0\0\x02........TRUEVISION-XFILE.\0", "TGA", CONVERT),
    (b"\0\0\x02\0\0\0\0\0\0\0\0\0\x04\0\x03\0\x18\0pixels", "TGA", CONVERT),
    (b"AT&TFORM\0\0\x10\0DJVU", "DjVu", CONVERT),
    (b"SIMPLE  =                    T", "FITS", CONVERT),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript", CONVERT),
    (b"\xc5\xd0\xd3\xc6\x20\0\0\0", "PostScript", CONVERT),
    (b"\xd7\xcd\xc6\x9a\0\0", "WMF", CONVERT),
    (b"\x01\0\0\0.................................... EMF", "EMF", CONVERT),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", CONVERT),
    (b"<?xml version='1.0'?>\n<svg/>", "SVG", CONVERT),
    (b"\xef\xbb\xbf<!-- by hand --><svg/>", "SVG", CONVERT),
    (b"<!-- by hand -->\n<svg/>", "SVG", CONVERT),
];
const CONVERT: &str = "convert it to PNG or JPEG";

const NOT_AN_IMAGE: [(&[u8], &str, &str); 53] = [
    (b"\n<!DOCTYPE html><title>404</title>", "an HTML page", "download the image again"),
    (b"<html>", "an HTML page", "download the image again"),
    (b"<?xml version='1.0'?>\n<feed/>", "an XML document", "download the image again"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document", "download the image again"),
    (b"<Error><Code>NoSuchKey</Code></Error>", "an XML document", "download the image again"),
    (b"{\"error\": \"rate limit\"}", "plain text", "download the image again"),
    (b"404: Not Found", "plain text", "download the image again"),
    (b"nicht gef\xc3\xbcnd\xc3", "plain text", "download the image again"),
    (b"P2P networks", "plain text", "download the image again"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "run `git lfs pull`"),
    (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "which macOS stores", "leave it out"),
    (&[0; 300], "zero bytes", "copy or download the image again"),
    (b"%PDF-1.7", "a PDF document", "save its images as PNG"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document", "save its images as PNG"),
    (b"PK\x03\x04....a.jpg", "a zip archive", "unpack it"),
    (b"\x1f\x8b\x08", "a gzip archive", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c\0", "a 7-Zip archive", "unpack it"),
    (b"Rar!\x1a\x07\x01\0", "a RAR archive", "unpack it"),
    (b"\xfd7zXZ\0\0", "an xz archive", "unpack it"),
    (b"BZh91AY&SY\0", "a bzip2 archive", "unpack it"),
    (b"\x28\xb5\x2f\xfd\x04", "a Zstandard archive", "unpack it"),
    (TAR, "a tar archive", "unpack it"),
    (b"PK\x03\x04....model/data.pkl", "a PyTorch file", "save its images as PNG"),
    (b"\x80\x02}q\0", "a Python pickle", "save its images as PNG"),
    (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file", "save its images as PNG"),
    (b"SQLite format 3\0", "an SQLite database", "save its images as PNG"),
    (b"\x93NUMPY\x01\0", "a NumPy array", "save it as PNG"),
    (b"PAR1\x15\0", "a parquet table", "give the table to ingest"),
    (b"\x40\0\0\0\0\0\0\0{\"weight\":{}}", "a file of model weights", "leave it out"),
    (b"GGUF\x03\0\0\0", "a file of model weights", "leave it out"),
    (b"\x08\x08\x12\x07pytorch\x1a\x05", "a file of model weights", "leave it out"),
    (b"\x7fELF\x02\x01\x01", "a program", "leave it out"),
    (b"MZ\x90\0\x03", "a program", "leave it out"),
    (b"RIFF\0\0\0\0WAVE", "a sound", "leave it out"),
    (b"ID3\x04\0\0", "a sound", "leave it out"),
    (b"\xff\xfb\x90\x64", "a sound", "leave it out"),
    (b"\xff\xf1\x50\x80", "a sound", "leave it out"),
    (b"fLaC\0\0\0\x22", "a sound", "leave it out"),
    (b"OggS\0\x02", "a sound", "leave it out"),
    (b"MThd\0\0\0\x06", "a sound", "leave it out"),
    (b"FORM\0\0\x10\0AIFF", "a sound", "leave it out"),
    (b".snd\0\0\0\x18", "a sound", "leave it out"),
    (b"#!AMR\n", "a sound", "leave it out"),
    (b"\0\0\0\x18ftypM4A \0\0\0\0", "a sound", "leave it out"),
    (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a video", "save its frames as PNG or JPEG"),
    (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video", "save its frames as PNG or JPEG"),
    (b"\x1a\x45\xdf\xa3\x01\0", "a video", "save its frames as PNG or JPEG"),
    (b"RIFF\0\0\0\0AVI LIST", "a video", "save its frames as PNG or JPEG"),
    (b"FLV\x01\x05", "a video", "save its frames as PNG or JPEG"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a video", "save its frames as PNG or JPEG"),
    (b"\0\0\x01\xba\x44", "a video", "save its frames as PNG or JPEG"),
    (&[0x47; 400], "a video", "save its frames as PNG or JPEG"),
    (b"RIFF\0\0\0\0ACON", "a sound or video", "save its frames as PNG or JPEG"),
];
const TAR: &[u8] = &{
    let mut file = [0; 262];
    let mut at = 0;
    while at < 5 {
        file[257 + at] = b"ustar"[at];
        at += 1;
    }
    file
};

#[test]
fn names_formats_that_are_not_read() {
    let kinds = [(&NOT_READ[..], "unsupported"), (&NOT_AN_IMAGE[..], "not_an_image")];
    for (bytes, name, advice, kind) in
        kinds.iter().flat_map(|(cases, kind)| cases.iter().map(move |c| (c.0, c.1, c.2, kind)))
    {
        let error = Format::of(bytes).unwrap_err();
        assert_eq!(error.kind(), *kind, "{name}: {error}");
        let text = error.to_string();
        let (named, advised) = text.rsplit_once("; ").unwrap_or_else(|| panic!("{name}: no advice in `{text}`"));
        assert!(named.contains(name) && advised.contains(advice), "{name}, {advice}: {text}");
    }
    assert_eq!(Format::of(b"\x01\x02\x03\xff"), Err(DecodeError::NotAnImage));
}

#[test]
fn names_dicom() {
    let file = [&[0; 128][..], b"DICM"].concat();
    let text = Format::of(&file).unwrap_err().to_string();
    assert!(text.contains("DICOM") && text.ends_with(CONVERT), "{text}");
}

#[test]
fn does_not_take_an_image_for_another_format() {
    let gif = [b"GIF89a".as_slice(), &[0x47; 400]].concat();
    for (bytes, format) in [
        (b"\xff\xd8\xff\xe0".as_slice(), Format::Jpeg),
        (b"\x89PNG\r\n\x1a\n", Format::Png),
        (b"RIFF\0\0\0\0WEBP", Format::WebP),
        (b"GIF89a", Format::Gif),
        // As if it were an MPEG transport stream.
        (&gif, Format::Gif),
        (b"BM\0\0\0\0", Format::Bmp),
        (b"II*\0\x08\0\0\0", Format::Tiff),
        (b"MM\0*\0\0\0\x08", Format::Tiff),
    ] {
        assert_eq!(Format::of(bytes), Ok(format));
    }
}
