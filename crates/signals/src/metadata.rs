//! What a file says about how it was written, as numbers.
//!
//! The features come from the bytes of the file alone: its container, compression settings, metadata and size. Anyone
//! can write or remove any of them, and in data sets they are the strongest shortcut, because the classes were often
//! collected and saved in different ways. A detector must keep them apart from the evidence in the pixels.

mod header;

use pixels::Format;
use pixels::metadata::{Compression, Declaration, FIELDS, Metadata};

use self::header::Header;

/// A feature of a file. Flags are 0 or 1.
type Feature = (String, f32);

/// Sides in pixels that generators write by default.
const GENERATOR_SIDES: [u32; 9] = [256, 512, 640, 768, 832, 896, 1024, 1152, 1216];

/// Computes the features of a file, in the order of [`feature_names`]. `None` if the file says nothing: it is not an
/// image in a supported format, or it has neither metadata nor the compression settings of a JPEG.
pub fn features(file: &[u8]) -> Option<Vec<f32>> {
    let format = Format::of(file).ok()?;
    let header = Header::read(file, format);
    let metadata = Metadata::read(file, format);
    let compression = (format == Format::Jpeg).then(|| Compression::read(file)).flatten();
    let declares = Declaration::ALL.into_iter().any(|declaration| metadata.declares(declaration));
    if compression.is_none() && !metadata.exif.is_present() && !declares && !header.has_metadata() {
        return None;
    }
    Some(
        describe(file.len(), Some(format), &header, metadata, compression)
            .into_iter()
            .map(|(_, value)| value)
            .collect(),
    )
}

/// Returns the names of the features, made to be shown to people.
pub fn feature_names() -> Vec<String> {
    describe(0, None, &Header::default(), Metadata::default(), None).into_iter().map(|(name, _)| name).collect()
}

fn describe(
    bytes: usize,
    format: Option<Format>,
    header: &Header,
    metadata: Metadata,
    compression: Option<Compression>,
) -> Vec<Feature> {
    let mut features = Vec::new();
    let mut flag = |name: &str, value: bool| features.push((name.to_owned(), f32::from(u8::from(value))));
    for known in [Format::Jpeg, Format::Png, Format::WebP, Format::Bmp, Format::Tiff, Format::Gif] {
        flag(&format!("format {known}"), format == Some(known));
    }
    // Fields of EXIF.
    flag("EXIF", metadata.exif.is_present());
    for (field, (_, name)) in FIELDS.iter().enumerate() {
        flag(&format!("EXIF {name}"), metadata.exif.has(field));
    }
    for declaration in Declaration::ALL {
        flag(declaration.name(), metadata.declares(declaration));
    }
    flag("colour profile (ICC)", header.icc);
    flag("XMP", header.xmp);
    flag("Photoshop resources", header.photoshop);
    flag("comment or text", header.text);
    flag("JFIF header", header.jfif);
    flag("Adobe marker", header.adobe);
    flag("several pictures (MPF)", header.multi_picture);
    flag("PNG resolution", header.resolution);
    flag("PNG colour space", header.colour_space);
    flag("WebP lossless", header.lossless);
    compression_features(compression, &mut features);
    size_features(bytes, header.size.or(compression.map(|c| [u32::from(c.width), u32::from(c.height)])), &mut features);
    features
}

/// Appends the features of a JPEG's compression settings; all 0 for other files.
fn compression_features(compression: Option<Compression>, features: &mut Vec<Feature>) {
    let known = compression.is_some();
    let is = |test: fn(&Compression) -> bool| f32::from(u8::from(compression.as_ref().is_some_and(test)));
    let number = |of: fn(&Compression) -> f32| compression.as_ref().map_or(0.0, of);
    let mut push = |name: &str, value: f32| features.push((name.to_owned(), value));
    push("JPEG quality", number(|c| f32::from(c.quality) / 100.0));
    push("JPEG quality of 98 or more", is(|c| c.quality >= 98));
    push("JPEG standard tables", is(|c| c.distance == 0));
    push("JPEG distance from standard tables", number(|c| f32::from(c.distance).ln_1p()));
    push("JPEG with 1 table", is(|c| c.table_count == 1));
    push("JPEG with 2 tables", is(|c| c.table_count == 2));
    push("JPEG with 3 or more tables", is(|c| c.table_count >= 3));
    push("JPEG grey", is(|c| c.components == 1));
    push("JPEG with 4 components", is(|c| c.components == 4));
    for (name, sampling) in [("4:2:0", 0x22), ("4:2:2", 0x21), ("4:4:4", 0x11)] {
        let matches = compression.is_some_and(|c| c.components > 1 && c.sampling == sampling);
        push(&format!("JPEG subsampling {name}"), f32::from(u8::from(matches)));
    }
    let other = compression.is_some_and(|c| c.components > 1 && ![0x22, 0x21, 0x11].contains(&c.sampling));
    push("JPEG other subsampling", f32::from(u8::from(other)));
    push("JPEG progressive", is(|c| c.progressive));
    push("JPEG optimised Huffman codes", is(|c| c.optimised));
    push("JPEG restart markers", is(|c| c.restart_interval > 0));
    push("JPEG settings known", f32::from(u8::from(known)));
}

/// Appends the features of the size in pixels and bytes. They are 0 if the size is not known.
fn size_features(bytes: usize, size: Option<[u32; 2]>, features: &mut Vec<Feature>) {
    let size = size.filter(|size| size.iter().all(|side| *side > 0));
    let is = |test: &dyn Fn([u32; 2]) -> bool| f32::from(u8::from(size.is_some_and(test)));
    let number = |of: &dyn Fn([f32; 2]) -> f32| size.map_or(0.0, |size| of(size.map(|side| side as f32)));
    let mut push = |name: &str, value: f32| features.push((name.to_owned(), value));
    push("log2 of pixels", number(&|[width, height]| (width * height).log2()));
    push("log2 of aspect ratio", number(&|[width, height]| (width / height).log2()));
    push("square", is(&|[width, height]| width == height));
    push("aspect ratio 3:2", is(&|size| has_aspect(size, 3, 2)));
    push("aspect ratio 4:3", is(&|size| has_aspect(size, 4, 3)));
    push("aspect ratio 16:9", is(&|size| has_aspect(size, 16, 9)));
    for divisor in [8, 16, 64] {
        push(&format!("sides divisible by {divisor}"), is(&|size| size.iter().all(|side| side % divisor == 0)));
    }
    push("both sides common for generators", is(&|size| size.iter().all(|side| GENERATOR_SIDES.contains(side))));
    push("a side of 512", is(&|size| size.contains(&512)));
    push("a side of 1024", is(&|size| size.contains(&1024)));
    push("log2 of bits per pixel", number(&|[width, height]| (8.0 * bytes as f32 / (width * height)).max(1e-3).log2()));
}

/// Whether the long side has this ratio to the short one, within a pixel.
fn has_aspect([width, height]: [u32; 2], long: u64, short: u64) -> bool {
    let (greater, smaller) = (u64::from(width.max(height)), u64::from(width.min(height)));
    (greater * short).abs_diff(smaller * long) < long
}

#[cfg(test)]
mod tests {
    use pixels::RgbImage;
    use pixels::encode::{self, Subsampling};

    use super::*;

    fn jpeg(width: u32, height: u32, quality: u8) -> Vec<u8> {
        let image = RgbImage::from_fn(width, height, |x, y| [(x * 9) as u8, (y * 13) as u8, 90]);
        encode::jpeg(&image, quality, Subsampling::Quarter).unwrap()
    }

    /// Makes a PNG without pixels.
    fn png(width: u32, height: u32, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        let header = [size.as_slice(), &[8, 2, 0, 0, 0]].concat();
        for (kind, data) in [(b"IHDR", header.as_slice())].iter().chain(chunks) {
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(*kind);
            file.extend(*data);
            file.extend([0; 4]);
        }
        file
    }

    fn named(file: &[u8]) -> std::collections::BTreeMap<String, f32> {
        let values = features(file).unwrap();
        assert!(values.iter().all(|value| value.is_finite()));
        let names = feature_names();
        assert_eq!(names.len(), values.len());
        names.into_iter().zip(values).collect()
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<String> = feature_names().into_iter().collect();
        assert_eq!(names.len(), feature_names().len());
    }

    #[test]
    fn describes_a_jpeg() {
        let found = named(&jpeg(48, 32, 80));
        for name in ["format jpeg", "JPEG standard tables", "JPEG subsampling 4:2:0", "aspect ratio 3:2", "JFIF header"]
        {
            assert_eq!(found[name], 1.0, "{name}");
        }
        assert_eq!((found["JPEG quality"], found["EXIF"], found["sides divisible by 64"]), (0.8, 0.0, 0.0));
        assert_eq!(found["sides divisible by 16"], 1.0);
        assert!((found["log2 of pixels"] - 10.585).abs() < 1e-3);
        let square = named(&jpeg(512, 512, 99));
        assert_eq!(
            (square["square"], square["a side of 512"], square["both sides common for generators"]),
            (1.0, 1.0, 1.0)
        );
    }

    #[test]
    fn describes_a_png_with_text() {
        let found = named(&png(
            1024,
            768,
            &[(b"tEXt", b"parameters\0a cat\nSteps: 20, Sampler: Euler"), (b"pHYs", b"123456789")],
        ));
        for name in ["format png", "generator parameters", "comment or text", "PNG resolution", "aspect ratio 4:3"] {
            assert_eq!(found[name], 1.0, "{name}");
        }
        let profile = named(&png(8, 8, &[(b"iCCP", b"x")]));
        assert_eq!((profile["colour profile (ICC)"], profile["comment or text"]), (1.0, 0.0));
    }

    #[test]
    fn a_stripped_file_says_nothing() {
        assert_eq!(features(&png(64, 64, &[])), None);
        let webp = encode::webp(&RgbImage::from_fn(20, 10, |x, _| [x as u8; 3]), 80).unwrap();
        assert_eq!(features(&webp), None);
        assert_eq!(features(b"GIF89a"), None);
        assert_eq!(features(b""), None);
        assert_eq!(features(&[7; 100]), None);
    }

    #[test]
    fn damaged_files_do_not_panic() {
        let text: (&[u8; 4], &[u8]) = (b"tEXt", b"Comment\0x");
        for whole in [jpeg(24, 16, 75), png(9, 9, &[text])] {
            for position in 0..whole.len().min(700) {
                let _ = features(&whole[..position]);
                for bits in [0x01, 0x80, 0xff] {
                    let mut broken = whole.clone();
                    broken[position] ^= bits;
                    if let Some(values) = features(&broken) {
                        assert!(values.iter().all(|value| value.is_finite()), "{position}");
                    }
                }
            }
        }
    }
}
