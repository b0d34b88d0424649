//! Containers and metadata for tests.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use testing::containers::tiff;
pub(crate) use testing::containers::{gif, jpeg, manifest_store, png, webp};

/// What precedes a part of extended XMP in a segment of a JPEG.
pub(super) const EXTENDED: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";

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
    const UNDEFINED: u16 = 7;
    tiff(&values.iter().map(|&(tag, value)| (tag, UNDEFINED, value)).collect::<Vec<_>>())
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

pub(crate) fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
