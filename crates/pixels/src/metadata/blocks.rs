//! The blocks of metadata in a file, where each container puts them.

use super::containers::{Extension, gif_extensions, png_chunks, riff_chunks, segments};
use super::directory::{ByteOrder, entries};
use super::png_text::{self, Budget};
use super::xmp::{ExtensionPart, Xmp, join_extension};
use super::{c2pa, encoding, photoshop};
use crate::Format;

/// A block of metadata.
pub(super) enum Block<'a> {
    /// A TIFF structure with EXIF.
    Exif(&'a [u8]),
    /// A TIFF structure that also has the image.
    Tiff(&'a [u8]),
    /// The properties of an XMP packet.
    Xmp(Xmp),
    /// A comment without a keyword.
    Comment(&'a str),
    /// Text of a PNG: keyword and text.
    Text(&'a [u8], &'a str),
    /// A box of JUMBF. In a JPEG, it may go on in further segments.
    Jumbf(&'a [u8]),
}

/// Calls `found` for each block of metadata in a file. Stops at damaged data.
pub(super) fn visit(file: &[u8], format: Format, found: &mut dyn FnMut(Block<'_>)) {
    match format {
        Format::Jpeg => visit_jpeg(file, found),
        Format::Png => visit_png(file, found),
        Format::WebP => visit_webp(file, found),
        Format::Tiff => visit_tiff(file, found),
        Format::Gif => visit_gif(file, found),
        Format::Bmp => {}
    }
}

/// Removes the prefix that EXIF has in JPEGs. Some programs write it to other containers, or twice.
fn without_prefix(exif: &[u8]) -> &[u8] {
    const PREFIX: &[u8] = b"Exif\0\0";
    let once = exif.strip_prefix(PREFIX).unwrap_or(exif);
    once.strip_prefix(PREFIX).unwrap_or(once)
}

fn visit_jpeg(file: &[u8], found: &mut dyn FnMut(Block<'_>)) {
    const APP1: u8 = 0xe1;
    const APP11: u8 = 0xeb;
    const APP13: u8 = 0xed;
    const COMMENT: u8 = 0xfe;
    let (mut parts, mut extension) = (Vec::new(), None);
    for segment in segments(file) {
        let data = segment.data;
        match segment.marker {
            APP1 if data.starts_with(b"Exif\0\0") => found(Block::Exif(without_prefix(data))),
            APP1 => {
                if let Some(packet) = data.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                    let xmp = Xmp::parse(packet);
                    extension = xmp.extension.clone().or(extension);
                    found(Block::Xmp(xmp));
                }
                parts.extend(ExtensionPart::read(data));
            }
            APP11 => {
                if let Some(jumbf) = c2pa::box_of_segment(data) {
                    found(Block::Jumbf(jumbf));
                }
            }
            APP13 => {
                if let Some(packet) = photoshop::xmp(data) {
                    found(Block::Xmp(Xmp::parse(packet)));
                }
            }
            COMMENT => found(Block::Comment(&comment(data))),
            _ => {}
        }
    }
    if let Some(packet) = extension.and_then(|digest| join_extension(&digest, &parts)) {
        found(Block::Xmp(Xmp::parse(&packet)));
    }
}

/// Decodes a comment, which should be in UTF-8, but is in UTF-16 in some files.
fn comment(data: &[u8]) -> std::borrow::Cow<'_, str> {
    match data {
        [0, second, ..] if *second != 0 => encoding::utf16(data, ByteOrder::Big).into(),
        [first, 0, ..] if *first != 0 => encoding::utf16(data, ByteOrder::Little).into(),
        _ => encoding::utf8_or_latin1(data),
    }
}

fn visit_png(file: &[u8], found: &mut dyn FnMut(Block<'_>)) {
    let mut budget = Budget::default();
    for (kind, data) in png_chunks(file) {
        if let Some(keyword) = png_text::keyword(kind, data) {
            let text = png_text::text(kind, data, &mut budget);
            match keyword {
                b"XML:com.adobe.xmp" => found(Block::Xmp(Xmp::parse(&text))),
                // ImageMagick's names.
                b"Raw profile type exif" | b"Raw profile type APP1" | b"Raw profile type xmp" => {
                    let profile = png_text::raw_profile(&text).unwrap_or_default();
                    match profile.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                        Some(packet) => found(Block::Xmp(Xmp::parse(packet))),
                        None if keyword.ends_with(b"xmp") => found(Block::Xmp(Xmp::parse(&profile))),
                        None => found(Block::Exif(without_prefix(&profile))),
                    }
                }
                _ => found(Block::Text(keyword, &encoding::utf8_or_latin1(&text))),
            }
        }
        match &kind {
            b"eXIf" => found(Block::Exif(without_prefix(data))),
            b"caBX" => found(Block::Jumbf(data)),
            _ => {}
        }
    }
}

fn visit_webp(file: &[u8], found: &mut dyn FnMut(Block<'_>)) {
    for (kind, data) in riff_chunks(file) {
        match &kind {
            b"EXIF" => found(Block::Exif(without_prefix(data))),
            b"XMP " => found(Block::Xmp(Xmp::parse(data))),
            b"C2PA" => found(Block::Jumbf(data)),
            _ => {}
        }
    }
}

fn visit_tiff(file: &[u8], found: &mut dyn FnMut(Block<'_>)) {
    const XMP: u16 = 0x02bc;
    const PHOTOSHOP: u16 = 0x8649;
    const C2PA: u16 = 0xcd41;
    found(Block::Tiff(file));
    let Some(order) = ByteOrder::of(file) else { return };
    let Some(directory) = order.u32(file, 4) else { return };
    // A directory has each tag once.
    let [mut xmp, mut resources, mut jumbf] = [None; 3];
    for entry in entries(file, order, directory) {
        match entry.tag {
            XMP => xmp = entry.bytes(),
            PHOTOSHOP => resources = entry.bytes(),
            C2PA => jumbf = entry.bytes(),
            _ => {}
        }
    }
    for packet in [xmp, resources.and_then(photoshop::xmp)].into_iter().flatten() {
        found(Block::Xmp(Xmp::parse(packet)));
    }
    if let Some(jumbf) = jumbf {
        found(Block::Jumbf(jumbf));
    }
}

fn visit_gif(file: &[u8], found: &mut dyn FnMut(Block<'_>)) {
    for extension in gif_extensions(file) {
        if extension.label == Extension::COMMENT {
            found(Block::Comment(&encoding::utf8_or_latin1(&extension.joined())));
        }
        if let Some(xmp) = extension.of_application(b"XMP DataXMP") {
            found(Block::Xmp(Xmp::parse(xmp.raw())));
        }
        if let Some(store) = extension.of_application(b"C2PA_GIF\x01\0\0") {
            found(Block::Jumbf(&store.joined()));
        }
    }
}
