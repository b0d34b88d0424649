//! Files that were read wrongly once: each is read as the list beside them says. The files are not part of the project;
//! without them, the test is skipped.

use std::collections::BTreeSet;
use std::path::Path;

use pixels::{DecodeError, Decoded, Format, Limits, Warning, decode};
use provenance::{Parameters, Provenance, State};
use testing::shared;

/// The declarations of a file.
struct Declared {
    source_type: Option<String>,
    parameters: Vec<Parameters>,
    has_credentials: bool,
}

struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn bytes(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.0.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn decode(&self, file: &str) -> Result<Decoded, DecodeError> {
        decode(&self.bytes(file), &Limits::default())
    }

    fn decoded(&self, file: &str) -> Decoded {
        self.decode(file).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn declared(&self, file: &str) -> Declared {
        let bytes = self.bytes(file);
        let found = Provenance::read(&bytes, Format::of(&bytes).unwrap(), None);
        Declared {
            source_type: found.source_type,
            parameters: found.parameters,
            has_credentials: found.credentials.state != State::Absent,
        }
    }

    fn declares_nothing(&self, file: &str) -> bool {
        let found = self.declared(file);
        found.source_type.is_none() && found.parameters.is_empty() && !found.has_credentials
    }
}

/// The greatest difference between the samples of two images of one size.
fn difference(a: &Decoded, b: &Decoded) -> u8 {
    let size = |image: &Decoded| (image.rgb.width(), image.rgb.height());
    assert_eq!(size(a), size(b));
    a.rgb.data().iter().zip(b.rgb.data()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// Whether an image of this size in the file was turned by a quarter.
fn is_turned(image: &Decoded, stored: (u32, u32)) -> bool {
    (image.width, image.height) == stored && (image.rgb.width(), image.rgb.height()) == (stored.1, stored.0)
}

/// Asserts what is right for a file of the list.
fn check(folder: &Folder<'_>, file: &str) {
    match file {
        "scans-per-component-420.jpg" => {
            let (several, one) = (folder.decoded(file), folder.decoded("one-scan-420.jpg"));
            assert_eq!((several.width, several.height), (88, 88));
            // Ordinary JPEGs have another decoder, which rounds differently by at most five levels.
            assert!(difference(&several, &one) <= 5, "{}", difference(&several, &one));
        }
        "orientation-6-exif-prefixed.webp" => {
            let (prefixed, plain) = (folder.decoded(file), folder.decoded("orientation-6-exif-plain.webp"));
            assert!(is_turned(&prefixed, (prefixed.width, prefixed.height)) && prefixed.width != prefixed.height);
            assert_eq!(prefixed.rgb, plain.rgb);
        }
        "13_xmp_orientation_element.jpg" => assert!(is_turned(&folder.decoded(file), (160, 120))),
        "phone.heic" => {
            let error = folder.decode(file).unwrap_err();
            assert_eq!(error.kind(), "unsupported");
            assert!(error.to_string().contains("HEIC is not read; convert it"), "{error}");
        }
        "xmp_word_only.jpg" | "after_iend.png" | "prompt_innocent.png" | "jumbf_not_c2pa.jpg" => {
            assert!(folder.declares_nothing(file), "{file}");
        }
        "xmp_utf16.jpg" | "xmp_itxt_zipTrue.png" => {
            let source_type = folder.declared(file).source_type.unwrap_or_default();
            assert!(source_type.contains("generat"), "{file}: {source_type}");
        }
        "ztxt_params.png" => {
            let parameters = folder.declared(file).parameters;
            let found = parameters.iter().map(|one| [&one.prompt, &one.steps, &one.sampler].map(Option::as_deref));
            assert_eq!(found.collect::<Vec<_>>(), [[Some("a cat"), Some("20"), Some("Euler a")]]);
        }
        "cut60_with_eoi.jpg" => {
            let error = folder.decode(file).unwrap_err();
            assert_eq!(error.kind(), "truncated");
            assert!(error.to_string().contains('%'), "the share that is missing: {error}");
        }
        "only_eoi_missing.jpg" => {
            let decoded = folder.decoded(file);
            assert_eq!((decoded.width, decoded.height), (160, 120));
            assert_eq!(decoded.warning, Some(Warning::NoEndOfImage));
        }
        "tiled-planar.tif" => {
            let error = folder.decode(file).unwrap_err();
            assert_eq!(error.kind(), "unsupported");
            assert!(error.to_string().contains("tiles and a separate plane"), "{error}");
        }
        "gif-canvas.gif" => {
            // A frame of 40x30 pixels. Pillow fills the rest with the first colour, which is also that of the frame.
            let decoded = folder.decoded(file);
            assert_eq!((decoded.width, decoded.height), (64, 64));
            assert!(decoded.rgb.data().as_chunks::<3>().0.iter().all(|pixel| *pixel == [200, 30, 30]));
        }
        unknown => panic!("add what is right for `{unknown}` of LIST.tsv to this test"),
    }
}

#[test]
fn reads_each_listed_file_right() {
    let Some(list) = shared("data/faults/LIST.tsv") else { return };
    let folder = Folder(list.parent().unwrap());
    let text = std::fs::read_to_string(&list).unwrap();
    let files: BTreeSet<&str> = text.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    assert!(files.len() >= 15, "{files:?}");
    for file in files.into_iter().filter(|file| !file.is_empty()) {
        check(&folder, file);
    }
}
