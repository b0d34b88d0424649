//! The images of a copy of a benchmark, and what it lacks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifacts::schema::Omitted;
use artifacts::{Label, Split, atomic};
use walkdir::WalkDir;

use super::listed_image::ListedImage;
use super::{Protocol, pattern, table_images};
use crate::Error;
use crate::detector::GENERATORS_SEPARATOR;

/// Numbers of images of a generator in the test split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeneratorCounts {
    /// Real images that its fakes are compared with.
    pub real: u64,
    /// Fakes.
    pub fake: u64,
}

/// The images of a copy of a benchmark.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The images, sorted by path.
    pub images: Vec<ListedImage>,
    /// Numbers of test images by generator.
    pub counts: BTreeMap<String, GeneratorCounts>,
    /// Files without content.
    pub empty: Omitted,
    /// Images of folders or generators that the protocol does not know.
    pub unknown: Omitted,
    /// What the copy lacks, in sentences without a full stop.
    pub lacking: Vec<String>,
}

/// Finds the images of a copy of a benchmark below `root`.
///
/// # Errors
/// A folder or table that cannot be read, or no image of the benchmark's test split.
pub fn list(protocol: &Protocol, root: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    let mut rows = vec![0; protocol.tables.len()];
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| artifacts::Error::io("read", root)(error.into()))?;
        let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let path = below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        let is_hidden = path.split('/').any(|part| part.starts_with('.'));
        if !entry.file_type().is_file() || is_hidden {
            continue;
        }
        if let Some(at) = protocol.tables.iter().position(|rule| pattern::matches_table(&rule.table, &path)) {
            for (path, image) in table_images::read(protocol, &protocol.tables[at], root, &path)? {
                rows[at] += 1;
                match image {
                    None => listing.unknown.add(&path),
                    Some(image) => listing.images.push(image),
                }
            }
            continue;
        }
        if !pixels::file::has_image_name(&path) {
            continue;
        }
        match ListedImage::of_file(protocol, &path) {
            None => listing.unknown.add(&path),
            Some(_) if entry.metadata().is_ok_and(|metadata| metadata.len() == 0) => listing.empty.add(&path),
            Some(image) => listing.images.push(image),
        }
    }
    listing.images.sort_by(|a, b| a.path.cmp(&b.path));
    listing.counts = counts(protocol, &listing.images);
    listing.lacking = lacking(protocol, &listing.counts);
    listing.lacking.extend(lacking_rows(protocol, &rows));
    let has = |label: Label| listing.images.iter().any(|image| image.split == Split::Test && image.label == label);
    if has(Label::Real) && has(Label::Fake) {
        return Ok(listing);
    }
    let folders = protocol.images.iter().map(|rule| rule.folder.as_str());
    let places: Vec<&str> = folders.chain(protocol.tables.iter().map(|rule| rule.table.as_str())).collect();
    Err(Error::Usage(format!(
        "`{}` has no test images of both classes of {}, which are in {}; {}",
        root.display(),
        protocol.name,
        places.join(", "),
        protocol.layout
    )))
}

fn counts(protocol: &Protocol, images: &[ListedImage]) -> BTreeMap<String, GeneratorCounts> {
    let mut counts: BTreeMap<String, GeneratorCounts> =
        protocol.generators.keys().map(|name| (name.clone(), GeneratorCounts::default())).collect();
    let test = || images.iter().filter(|image| image.split == Split::Test);
    for fake in test().filter(|image| image.label == Label::Fake) {
        for name in &fake.generators {
            counts.entry(name.clone()).or_default().fake += 1;
        }
    }
    for real in test().filter(|image| image.label == Label::Real) {
        match real.generators.as_slice() {
            [] => counts.values_mut().for_each(|counts| counts.real += 1),
            names => {
                for name in names {
                    counts.entry(name.clone()).or_default().real += 1;
                }
            }
        }
    }
    counts
}

fn lacking(protocol: &Protocol, counts: &BTreeMap<String, GeneratorCounts>) -> Vec<String> {
    let mut lacking = Vec::new();
    for (name, found) in counts {
        let expected = protocol.generators.get(name).copied().unwrap_or_default();
        for (class, found, expected) in
            [("fakes", found.fake, expected.fake), ("real images", found.real, expected.real)]
        {
            match expected {
                Some(expected) if expected != found => {
                    lacking.push(format!("`{name}` has {found} {class}, but the benchmark has {expected}"));
                }
                None if found == 0 => lacking.push(format!("`{name}` has no {class}")),
                _ => {}
            }
        }
    }
    lacking
}

/// Returns what the tables of each rule lack. `rows` has their numbers of rows.
fn lacking_rows(protocol: &Protocol, rows: &[u64]) -> Vec<String> {
    let rules = protocol.tables.iter().zip(rows);
    rules
        .filter_map(|(rule, found)| {
            let expected = rule.rows.filter(|expected| expected != found)?;
            Some(format!("`{}` has {found} rows, but the benchmark has {expected}", rule.table))
        })
        .collect()
}

/// Writes a listing as a CSV source: `path,label,split,generator`, with absolute paths. With `test_only`, it has the
/// test images only, and real images name no generators, as ingest expects.
///
/// # Errors
/// A file that cannot be written, and a root that does not exist.
pub fn write(listing: &Listing, root: &Path, path: &Path, test_only: bool) -> Result<(), Error> {
    let root: PathBuf = root.canonicalize().map_err(artifacts::Error::io("find", root))?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let malformed = |e: csv::Error| artifacts::Error::malformed(path, "list of images", e);
    writer.write_record(["path", "label", "split", "generator"]).map_err(malformed)?;
    for image in listing.images.iter().filter(|image| !test_only || image.split == Split::Test) {
        let absolute = root.join(&image.path).to_string_lossy().into_owned();
        let generators = match image.label {
            Label::Real if test_only => String::new(),
            _ => image.generators.join(GENERATORS_SEPARATOR),
        };
        let record = [absolute, image.label.to_string(), image.split.to_string(), generators];
        writer.write_record(&record).map_err(malformed)?;
    }
    let bytes = writer.into_inner().map_err(|e| artifacts::Error::malformed(path, "list of images", e))?;
    Ok(atomic::write_file(path, &bytes)?)
}
