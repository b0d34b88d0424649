//! Text chunks of PNGs (PNG 3.0, section 11.3.3), and the profiles that ImageMagick writes as text.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

/// The largest number of bytes of a text after decompression.
const MAX_TEXT: usize = 8 << 20;

/// The number of bytes that the texts of a file may have together after decompression, so that many small chunks
/// cannot take hours.
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Budget(4 * MAX_TEXT)
    }
}

/// Returns the keyword of a text chunk. `None` if the chunk is not text.
pub(crate) fn keyword(kind: [u8; 4], data: &[u8]) -> Option<&[u8]> {
    matches!(&kind, b"tEXt" | b"zTXt" | b"iTXt").then(|| data.split(|&byte| byte == 0).next().unwrap_or_default())
}

/// Returns the text of a text chunk, decompressed. Text beyond the limit, or after damage, is left out.
pub(crate) fn text<'a>(kind: [u8; 4], data: &'a [u8], budget: &mut Budget) -> Cow<'a, [u8]> {
    let after_keyword = &data[keyword(kind, data).map_or(data.len(), <[u8]>::len)..];
    match (&kind, after_keyword) {
        (b"tEXt", [0, text @ ..]) => plain(text),
        (b"zTXt", [0, 0, compressed @ ..]) => inflate(compressed, budget),
        (b"iTXt", [0, flag, method, rest @ ..]) => {
            // A language tag and a translated keyword precede the text.
            let text = rest.splitn(3, |&byte| byte == 0).nth(2).unwrap_or_default();
            match (flag, method) {
                (0, _) => plain(text),
                (1, 0) => inflate(text, budget),
                _ => Cow::default(),
            }
        }
        _ => Cow::default(),
    }
}

fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(&text[..text.len().min(MAX_TEXT)])
}

fn inflate<'a>(compressed: &[u8], budget: &mut Budget) -> Cow<'a, [u8]> {
    let mut text = Vec::new();
    let limit = MAX_TEXT.min(budget.0);
    // What was decompressed before an error is kept.
    let _ = ZlibDecoder::new(compressed).take(limit as u64).read_to_end(&mut text);
    budget.0 -= text.len();
    Cow::Owned(text)
}

/// Decodes a profile that ImageMagick writes as text: three lines of header, then hexadecimal digits. `None` if there
/// are other characters.
pub(crate) fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
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
    use super::super::fixtures::deflate;
    use super::*;

    fn read(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        text(*kind, data, &mut Budget::default()).into_owned()
    }

    #[test]
    fn reads_plain_and_compressed_text() {
        let compressed = deflate(b"a cat");
        let cases: [(&[u8; 4], Vec<u8>); 4] = [
            (b"tEXt", b"prompt\0a cat".to_vec()),
            (b"zTXt", [b"prompt\0\0".as_slice(), &compressed].concat()),
            (b"iTXt", b"prompt\0\0\0en\0Prompt\0a cat".to_vec()),
            (b"iTXt", [b"prompt\0\x01\0en\0Prompt\0".as_slice(), &compressed].concat()),
        ];
        for (kind, data) in cases {
            assert_eq!(keyword(*kind, &data), Some(b"prompt".as_slice()));
            assert_eq!(read(kind, &data), b"a cat");
            for length in 0..data.len() {
                assert!(b"a cat".starts_with(&read(kind, &data[..length])), "{kind:?} {length}");
            }
        }
        assert_eq!(keyword(*b"IDAT", b"prompt\0a cat"), None);
        assert_eq!(read(b"zTXt", b"prompt\0\x01unknown method"), b"");
    }

    #[test]
    fn decompression_has_a_limit() {
        let bomb = [b"x\0\0".as_slice(), &deflate(&vec![b'a'; MAX_TEXT + 1])].concat();
        let mut budget = Budget::default();
        let lengths: Vec<usize> = (0..6).map(|_| text(*b"zTXt", &bomb, &mut budget).len()).collect();
        assert_eq!(lengths, [MAX_TEXT, MAX_TEXT, MAX_TEXT, MAX_TEXT, 0, 0]);
    }

    #[test]
    fn decodes_raw_profiles() {
        assert_eq!(raw_profile(b"\nexif\n   3\n0aF\nf10\n"), Some(vec![0x0a, 0xff, 0x10]));
        assert_eq!(raw_profile(b"\nexif\n   3\n0g\n"), None);
        assert_eq!(raw_profile(b""), Some(vec![]));
    }
}
