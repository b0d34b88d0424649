//! Properties in an XMP packet (ISO 16684-1): IPTC's `DigitalSourceType`, and comments.

use std::ops::ControlFlow;

use roxmltree::{Document, Node, ParsingOptions};

use super::encoding;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// What an XMP packet states about its image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Xmp {
    /// The term of `DigitalSourceType` if it says that the image or a part of it was generated.
    pub(super) source_type: Option<&'static str>,
    /// The term of `DigitalSourceType`, whatever it says.
    pub(super) any_source_type: Option<String>,
    /// The address of Content Credentials that are kept elsewhere.
    pub(super) provenance: Option<String>,
    /// Descriptions and comments, in which generators write their parameters.
    pub(super) comments: Vec<String>,
    /// The digest that names the extended XMP of this packet, in hexadecimal digits.
    pub(super) extension: Option<String>,
}

/// The largest number of bytes of a packet.
const MAX_BYTES: usize = 8 << 20;

impl Xmp {
    /// Parses a packet. A packet that is damaged, too large or not XMP has no properties.
    pub(super) fn parse(packet: &[u8]) -> Xmp {
        let mut xmp = Xmp::default();
        if packet.len() > MAX_BYTES {
            return xmp;
        }
        let text = encoding::xml(packet);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}');
        let options = ParsingOptions { nodes_limit: 200_000, ..ParsingOptions::default() };
        if !is_cheap(text) {
            return xmp;
        }
        let Ok(document) = Document::parse_with_options(text, options) else { return xmp };
        let Some(root) = document.descendants().find(|node| node.has_tag_name((RDF, "RDF"))) else { return xmp };
        // A property is an attribute or a child of a description of the file. Properties further down belong to other
        // things, such as the pictures of which the image was composed.
        for description in root.children().filter(Node::is_element) {
            for attribute in description.attributes() {
                xmp.read_value(attribute.namespace(), attribute.name(), attribute.value());
            }
            for property in description.children().filter(Node::is_element) {
                let name = property.tag_name();
                for value in property.descendants().flat_map(values) {
                    xmp.read_value(name.namespace(), name.name(), value);
                }
            }
        }
        xmp
    }

    fn read_value(&mut self, namespace: Option<&str>, name: &str, value: &str) {
        const IPTC: &str = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/";
        const NOTE: &str = "http://ns.adobe.com/xmp/note/";
        const EXIF: &str = "http://ns.adobe.com/exif/1.0/";
        const DUBLIN_CORE_TERMS: &str = "http://purl.org/dc/terms/";
        const DUBLIN_CORE: &str = "http://purl.org/dc/elements/1.1/";
        match (namespace, name) {
            // The second name is the one in the first edition of the standard.
            (Some(IPTC), "DigitalSourceType" | "DigitalSourcefileType") => {
                self.source_type = self.source_type.or_else(|| generated(value));
                self.any_source_type = self.any_source_type.take().or_else(|| term(value).map(str::to_owned));
            }
            (Some(DUBLIN_CORE_TERMS), "provenance") => {
                self.provenance = self.provenance.take().or_else(|| Some(value.chars().take(500).collect()));
            }
            (Some(NOTE), "HasExtendedXMP") => self.extension = Some(value.to_owned()),
            (Some(EXIF), "UserComment") | (Some(DUBLIN_CORE), "description") => self.comments.push(value.to_owned()),
            _ => {}
        }
    }
}

/// Returns the values that a node of a property holds: text, or a value or resource that is an attribute.
fn values<'a>(node: Node<'a, '_>) -> impl Iterator<Item = &'a str> {
    let attributes = [node.attribute((RDF, "resource")), node.attribute((RDF, "value"))];
    let text = node.text().filter(|_| node.is_text());
    attributes.into_iter().flatten().chain(text).map(str::trim).filter(|value| !value.is_empty())
}

/// Returns the term of a URI of IPTC's vocabulary (<https://cv.iptc.org/newscodes/digitalsourcetype>) if it means that
/// a generator made the image or a part of it.
fn generated(uri: &str) -> Option<&'static str> {
    const TERMS: [&str; 4] =
        ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic", "algorithmicMedia"];
    let term = term(uri)?;
    TERMS.into_iter().find(|known| *known == term)
}

/// Returns the term of a URI of IPTC's vocabulary.
fn term(uri: &str) -> Option<&str> {
    const VOCABULARY: &str = "://cv.iptc.org/newscodes/digitalsourcetype/";
    let rest = uri.trim();
    let rest = rest.strip_prefix("https").or_else(|| rest.strip_prefix("http"))?;
    let is_word = |term: &&str| (1..=64).contains(&term.len()) && term.bytes().all(|byte| byte.is_ascii_alphanumeric());
    rest.strip_prefix(VOCABULARY).filter(is_word)
}

/// Whether the parser takes little time and memory. It compares each attribute with those before it in the same tag,
/// and copies the list of namespaces for each element that declares one.
fn is_cheap(text: &str) -> bool {
    const NAMESPACES: usize = 256;
    const ATTRIBUTES_OF_TAG: usize = 512;
    const ATTRIBUTES: usize = 200_000;
    let namespaces = memchr::memmem::find_iter(text.as_bytes(), "xmlns").take(NAMESPACES + 1).count();
    let mut all = 0;
    // `<` does not occur in attributes, so that each part has at most one tag.
    let mut tags = memchr::memchr_iter(b'<', text.as_bytes()).chain([text.len()]);
    let checked = tags.try_fold(0, |start, end| {
        let count = memchr::memchr_iter(b'=', &text.as_bytes()[start..end]).count();
        all += count;
        if count > ATTRIBUTES_OF_TAG || all > ATTRIBUTES { ControlFlow::Break(()) } else { ControlFlow::Continue(end) }
    });
    namespaces <= NAMESPACES && checked.is_continue()
}

/// A part of extended XMP, which JPEGs have in segments of their own (XMP specification, part 3, section 1.1.3.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct ExtensionPart<'a> {
    digest: &'a [u8; 32],
    full_length: usize,
    offset: usize,
    data: &'a [u8],
}

impl<'a> ExtensionPart<'a> {
    /// Reads a part from the data of a segment.
    pub(super) fn read(segment: &'a [u8]) -> Option<ExtensionPart<'a>> {
        let rest = segment.strip_prefix(b"http://ns.adobe.com/xmp/extension/\0")?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (full_length, rest) = rest.split_first_chunk::<4>()?;
        let (offset, data) = rest.split_first_chunk::<4>()?;
        let [full_length, offset] = [full_length, offset].map(|word| u32::from_be_bytes(*word) as usize);
        Some(ExtensionPart { digest, full_length, offset, data })
    }
}

/// Joins the parts of an extension. `None` if a part is missing. The digest is only compared, not computed.
pub(super) fn join_extension(digest: &str, parts: &[ExtensionPart<'_>]) -> Option<Vec<u8>> {
    let mut parts: Vec<_> =
        parts.iter().filter(|part| part.digest.eq_ignore_ascii_case(digest.trim().as_bytes())).collect();
    parts.sort_by_key(|part| part.offset);
    let full_length = parts.first()?.full_length;
    let mut packet = Vec::new();
    for part in parts {
        if part.offset != packet.len() || packet.len() + part.data.len() > full_length.min(MAX_BYTES) {
            return None;
        }
        packet.extend(part.data);
    }
    (packet.len() == full_length).then_some(packet)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{EXTENDED, xmp_with};
    use super::*;

    const URI: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
    const TERM: Option<&str> = Some("trainedAlgorithmicMedia");

    fn source_type(packet: &str) -> Option<&'static str> {
        Xmp::parse(packet.as_bytes()).source_type
    }

    #[test]
    fn reads_properties_in_every_form() {
        let name = "Iptc4xmpExt:DigitalSourceType";
        for content in [
            format!("<rdf:Description {name}='{URI}'/>"),
            format!("<rdf:Description><{name}>{URI}</{name}></rdf:Description>"),
            format!("<rdf:Description><{name}>\n  {URI}\n</{name}></rdf:Description>"),
            format!("<rdf:Description><{name} rdf:resource='{URI}'/></rdf:Description>"),
            format!("<rdf:Description><{name}><rdf:Bag><rdf:li>{URI}</rdf:li></rdf:Bag></{name}></rdf:Description>"),
            format!("<rdf:Description/><rdf:Description {name}='{}'/>", URI.replace("http:", "https:")),
            format!("<rdf:Description {name}='{}'/>", URI.replace("trained", "&#116;rained")),
            format!("<rdf:Description {}='{URI}'/>", name.replace("Type", "fileType")),
        ] {
            assert_eq!(source_type(&xmp_with(&content)), TERM, "{content}");
        }
        let other_prefix = xmp_with(&format!("<rdf:Description {name}='{URI}'/>")).replace("Iptc4xmpExt:", "q:");
        assert_eq!(source_type(&other_prefix.replace("xmlns:Iptc4xmpExt", "xmlns:q")), TERM);
        let unwrapped = xmp_with(&format!("<rdf:Description {name}='{URI}'/>"));
        let unwrapped = &unwrapped[unwrapped.find("<rdf:RDF").unwrap()..unwrapped.find("</x:xmpmeta>").unwrap()];
        assert_eq!(source_type(unwrapped), TERM);
        assert_eq!(source_type(&format!("{unwrapped}\0\0 \n")), TERM);
    }

    #[test]
    fn other_properties_and_values_declare_nothing() {
        let name = "Iptc4xmpExt:DigitalSourceType";
        for content in [
            format!("<rdf:Description dc:title='{name} {URI}'/>"),
            format!("<rdf:Description dc:title='{URI}'/>"),
            format!("<rdf:Description {name}='a word on trainedAlgorithmicMedia'/>"),
            format!("<rdf:Description {name}='trainedAlgorithmicMedia'/>"),
            format!("<rdf:Description {name}='{}'/>", URI.replace("trainedAlgorithmicMedia", "digitalCapture")),
            format!("<rdf:Description {name}='{URI}s'/>"),
            format!("<rdf:Description {name}='{}'/>", URI.replace("cv.iptc.org", "example.org")),
            format!("<rdf:Description {}='{URI}'/>", name.replace("Iptc4xmpExt", "dc")),
            format!("<!-- <rdf:Description {name}='{URI}'/> -->"),
            // A property of a picture that was used.
            format!(
                "<rdf:Description><xmpMM:Ingredients><rdf:Bag><rdf:li {name}='{URI}'/></rdf:Bag></xmpMM:Ingredients>\
                 </rdf:Description>"
            ),
        ] {
            assert_eq!(source_type(&xmp_with(&content)), None, "{content}");
        }
        // The prefix belongs to another namespace.
        let packet = xmp_with(&format!("<rdf:Description {name}='{URI}'/>"));
        assert_eq!(source_type(&packet.replace("http://iptc.org/std/Iptc4xmpExt/", "http://example.org/")), None);
    }

    #[test]
    fn reads_every_encoding() {
        let packet = xmp_with(&format!("<rdf:Description Iptc4xmpExt:DigitalSourceType='{URI}'/>"));
        for marked in [packet.clone(), format!("\u{feff}{packet}")] {
            let big: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let little: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for bytes in [marked.as_bytes(), &big, &little] {
                assert_eq!(Xmp::parse(bytes).source_type, TERM);
                let padded = [bytes, &[0; 40]].concat();
                assert_eq!(Xmp::parse(&padded).source_type, TERM);
            }
        }
    }

    #[test]
    fn joins_extended_xmp() {
        let digest = [b'A'; 32];
        let text = b"<rdf:RDF/>";
        let part = |full_length: u32, offset: u32, data: &[u8]| {
            [EXTENDED, &digest, &full_length.to_be_bytes(), &offset.to_be_bytes(), data].concat()
        };
        let segments = [part(10, 4, &text[4..]), part(10, 0, &text[..4])];
        let parts: Vec<_> = segments.iter().map(|segment| ExtensionPart::read(segment).unwrap()).collect();
        let name = String::from_utf8(digest.to_vec()).unwrap();
        assert_eq!(join_extension(&name, &parts).as_deref(), Some(text.as_slice()));
        assert_eq!(join_extension("other", &parts), None);
        assert_eq!(join_extension(&name, &parts[..1]), None);
        assert_eq!(join_extension(&name, &parts[1..]), None);
        assert_eq!(join_extension(&name, &[parts[0], parts[1], parts[1]]), None);
        assert!(ExtensionPart::read(&segments[0][..40]).is_none());
    }

    #[test]
    fn skips_packets_that_cost_too_much() {
        let many = |one: &str, count: usize| one.repeat(count);
        let attributes: String = (0..600).map(|index| format!(" a{index}=''")).collect();
        let nested: String = (0..300).map(|index| format!("<a xmlns:n{index}='u{index}'>")).collect();
        for content in [
            format!("<rdf:Description{attributes}/>"),
            format!("{nested}{}", many("</a>", 300)),
            many("<a b=''/>", 200_001),
            many("<!---->", 200_001),
            many(" ", MAX_BYTES),
        ] {
            let end = format!("<rdf:Description Iptc4xmpExt:DigitalSourceType='{URI}'/>");
            assert_eq!(source_type(&xmp_with(&(content + &end))), None);
        }
        // Deep nesting and entities.
        let deep = format!("{}{}", many("<a>", 90_000), many("</a>", 90_000));
        assert_eq!(Xmp::parse(deep.as_bytes()), Xmp::default());
        let laughs = "<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;'>]><a>&c;</a>";
        assert_eq!(Xmp::parse(laughs.as_bytes()), Xmp::default());
    }
}
