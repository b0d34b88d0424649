//! Containers and metadata for tests.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// What precedes a part of extended XMP in a segment of a JPEG.
pub(super) const EXTENDED: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";

/// Makes a PNG without pixels.
pub(crate) fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(*kind);
        file.extend(*data);
        file.extend([0; 4]);
    }
    file
}

/// Makes the header of a JPEG with these segments: marker and data.
pub(crate) fn jpeg(segments: &[(u8, &[u8])]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    for (marker, data) in segments {
        file.extend([0xff, *marker]);
        file.extend((data.len() as u16 + 2).to_be_bytes());
        file.extend(*data);
    }
    file.extend([0xff, 0xda, 0, 2]);
    file
}

/// Makes a WebP with these chunks.
pub(crate) fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (kind, data) in chunks {
        body.extend(*kind);
        body.extend((data.len() as u32).to_le_bytes());
        body.extend(*data);
        body.resize(body.len() + data.len() % 2, 0);
    }
    [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
}

/// Makes a GIF with one frame, and these bytes before its trailer.
pub(super) fn gif(extensions: &[u8]) -> Vec<u8> {
    let header = b"GIF89a\x01\0\x01\0\x80\0\0\x01\x02\x03\x04\x05\x06";
    let frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x4c\x01\0";
    [header.as_slice(), frame, extensions, b"\x3b"].concat()
}

/// Makes a big-endian TIFF structure with two directories of these tags. The value of each tag in the first directory
/// is the offset of the second.
pub(super) fn tiff_of_tags(first: &[u16], second: &[u16]) -> Vec<u8> {
    let directory = |tags: &[u16], value: u32| {
        let mut bytes = (tags.len() as u16).to_be_bytes().to_vec();
        for tag in tags {
            bytes.extend(tag.to_be_bytes());
            bytes.extend([0, 4, 0, 0, 0, 1]);
            bytes.extend(value.to_be_bytes());
        }
        bytes.extend([0; 4]);
        bytes
    };
    let mut bytes = b"MM\0*\0\0\0\x08".to_vec();
    let second_start = 8 + 2 + 12 * first.len() as u32 + 4;
    bytes.extend(directory(first, second_start));
    bytes.extend(directory(second, 0));
    bytes
}

/// Makes a little-endian TIFF structure with these tags, all with values of bytes.
pub(crate) fn tiff_of_values(values: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((values.len() as u16).to_le_bytes());
    let mut stored: Vec<u8> = Vec::new();
    let start = 8 + 2 + 12 * values.len() + 4;
    for (tag, value) in values {
        bytes.extend(tag.to_le_bytes());
        bytes.extend([7, 0]);
        bytes.extend((value.len() as u32).to_le_bytes());
        if value.len() <= 4 {
            bytes.extend(*value);
            bytes.resize(bytes.len() + 4 - value.len(), 0);
        } else {
            bytes.extend(((start + stored.len()) as u32).to_le_bytes());
            stored.extend(*value);
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(stored);
    bytes
}

/// Makes an XMP packet with these descriptions.
pub(crate) fn xmp_with(content: &str) -> String {
    format!(
        "<?xpacket begin=\"\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF \
         xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns:Iptc4xmpExt=\"http://iptc.org/std/\
         Iptc4xmpExt/2008-02-29/\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" xmlns:xmpMM=\"http://ns.adobe.com/\
         xap/1.0/mm/\" xmlns:exif=\"http://ns.adobe.com/exif/1.0/\" xmlns:xmpNote=\"http://ns.adobe.com/xmp/note/\">\
         {content}</rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>"
    )
}

/// Makes an empty C2PA manifest store.
pub(super) fn manifest_store() -> Vec<u8> {
    let description = b"\0\0\0\x1ejumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71\x03c2pa\0";
    [b"\0\0\0\x26jumb".as_slice(), description].concat()
}

pub(crate) fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
