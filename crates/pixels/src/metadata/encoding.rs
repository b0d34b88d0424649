//! Text in UTF-8, UTF-16, UTF-32 and Latin-1.

use std::borrow::Cow;

use super::directory::ByteOrder;

/// Decodes XML by its byte order mark, or by how its first character, `<`, is written (XML 1.0, appendix F).
pub(super) fn xml(bytes: &[u8]) -> Cow<'_, str> {
    use ByteOrder::{Big, Little};
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0, 0, 0xfe, 0xff, rest @ ..] => utf32(rest, Big).into(),
        [0xff, 0xfe, 0, 0, rest @ ..] => utf32(rest, Little).into(),
        [0xfe, 0xff, rest @ ..] => utf16(rest, Big).into(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, Little).into(),
        [0, 0, 0, b'<', ..] => utf32(bytes, Big).into(),
        [b'<', 0, 0, 0, ..] => utf32(bytes, Little).into(),
        [0, b'<', ..] => utf16(bytes, Big).into(),
        [b'<', 0, ..] => utf16(bytes, Little).into(),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Decodes UTF-16 up to its first zero, without a byte order mark.
pub(super) fn utf16(bytes: &[u8], order: ByteOrder) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|&unit| match order {
        ByteOrder::Big => u16::from_be_bytes(unit),
        ByteOrder::Little => u16::from_le_bytes(unit),
    });
    let text = char::decode_utf16(units.take_while(|&unit| unit != 0));
    text.map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).filter(|&c| c != '\u{feff}').collect()
}

fn utf32(bytes: &[u8], order: ByteOrder) -> String {
    let units = bytes.as_chunks::<4>().0.iter().map(|&unit| match order {
        ByteOrder::Big => u32::from_be_bytes(unit),
        ByteOrder::Little => u32::from_le_bytes(unit),
    });
    units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Decodes UTF-8, or Latin-1 if it is not UTF-8. Text of PNGs should be in Latin-1, but many programs write UTF-8.
pub(super) fn utf8_or_latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_xml_with_and_without_byte_order_mark() {
        let text = "<a>ä€𝄞</a>";
        for marked in [text.to_owned(), format!("\u{feff}{text}")] {
            let wide = || marked.encode_utf16();
            let codes = || marked.chars().map(u32::from);
            for bytes in [
                marked.as_bytes().to_vec(),
                wide().flat_map(u16::to_be_bytes).collect(),
                wide().flat_map(u16::to_le_bytes).collect(),
                codes().flat_map(u32::to_be_bytes).collect(),
                codes().flat_map(u32::to_le_bytes).collect(),
            ] {
                assert_eq!(xml(&bytes), text, "{bytes:?}");
            }
        }
    }

    #[test]
    fn replaces_what_is_not_text() {
        assert_eq!(xml(b"<a>\xff"), "<a>\u{fffd}");
        assert_eq!(utf16(&[0xd8, 0, 0, b'a', 0], ByteOrder::Big), "\u{fffd}a");
        assert_eq!(utf8_or_latin1(b"gr\xfcn"), "grün");
        assert_eq!(utf8_or_latin1("grün".as_bytes()), "grün");
    }
}
