//! XMP among Photoshop's image resources (Adobe Photoshop File Formats Specification, "Image Resource Blocks").

/// Returns the XMP in the resources of an APP13 segment or of a TIFF.
pub(super) fn xmp(resources: &[u8]) -> Option<&[u8]> {
    const XMP: u16 = 0x0424;
    let mut rest = resources.strip_prefix(b"Photoshop 3.0\0").unwrap_or(resources);
    loop {
        rest = rest.strip_prefix(b"8BIM")?;
        let id = u16::from_be_bytes(*rest.first_chunk()?);
        // A name with its length follows. Its length and that of the data are padded to even numbers.
        let name = usize::from(*rest.get(2)?) + 1;
        let after_name = rest.get(2 + name + name % 2..)?;
        let length = u32::from_be_bytes(*after_name.first_chunk()?) as usize;
        let data = after_name.get(4..)?.get(..length)?;
        if id == XMP {
            return Some(data);
        }
        rest = after_name.get(4 + length + length % 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_xmp_among_resources() {
        let resources = b"Photoshop 3.0\08BIM\x04\x04\x02ab\0\0\0\0\x03abc\08BIM\x04\x24\0\0\0\0\0\x04<x/>";
        assert_eq!(xmp(resources), Some(b"<x/>".as_slice()));
        assert_eq!(xmp(&resources[14..]), Some(b"<x/>".as_slice()));
        for length in 0..resources.len() {
            assert_eq!(xmp(&resources[..length]), None);
        }
    }
}
