//! Features of files that may be shortcuts. Their values are discretised into bins.

use pixels::metadata::{Declaration, FIELDS};

use super::observation::{LEVELS, Observation};
use super::thumbnail::COLOUR_SIDE;

/// The largest number of bins of a feature.
const MAX_BINS: usize = 16;

/// One feature of all images.
pub(super) struct Feature {
    pub(super) name: String,
    /// Advice to the user if the feature is a shortcut.
    pub(super) advice: &'static str,
    /// The index of each image's bin.
    pub(super) codes: Vec<u8>,
    /// The names of the bins.
    pub(super) bins: Vec<String>,
}

/// Returns the properties of the files other than their pixels.
pub(super) fn of_files(images: &[&Observation]) -> Vec<Feature> {
    const SIZE: &str = "use images of one size for both classes, or crop instead of resizing, because resizing leaves \
                        traces that depend on the size";
    const COMPRESSION: &str = "set ingest.reencode, so that the images of both classes are compressed in the same way";
    const METADATA: &str = "metadata is not in the pixels, but the difference shows that the classes come from \
                            different sources; set ingest.strip = true to ignore metadata";
    let mut features = vec![
        named("format", COMPRESSION, images, |image| image.format.name().to_owned()),
        numeric("width", SIZE, images, |image| f64::from(image.width)),
        numeric("height", SIZE, images, |image| f64::from(image.height)),
        numeric("aspect", SIZE, images, |image| f64::from(image.width) / f64::from(image.height)),
        numeric("file size", COMPRESSION, images, |image| image.file_bytes as f64),
        numeric("bytes per pixel", COMPRESSION, images, |image| {
            image.file_bytes as f64 / (f64::from(image.width) * f64::from(image.height))
        }),
        numeric("JPEG quality", COMPRESSION, images, |image| {
            image.compression.map_or(0.0, |compression| f64::from(compression.quality))
        }),
        named("JPEG quantisation tables", COMPRESSION, images, |image| {
            image.compression.map_or("none".to_owned(), |compression| format!("{:08x}", compression.tables))
        }),
        named("chroma subsampling", COMPRESSION, images, |image| {
            image.compression.map_or("none".to_owned(), |compression| compression.sampling_name())
        }),
        flag("progressive JPEG", COMPRESSION, images, |image| {
            image.compression.is_some_and(|compression| compression.progressive)
        }),
        flag("EXIF", METADATA, images, |image| image.metadata.exif.is_present()),
    ];
    for (field, (_, name)) in FIELDS.iter().enumerate() {
        features.push(flag(&format!("EXIF {name}"), METADATA, images, |image| image.metadata.exif.has(field)));
    }
    for declaration in Declaration::ALL {
        features.push(flag(declaration.name(), METADATA, images, |image| image.metadata.declares(declaration)));
    }
    features
}

/// Returns the cells of the colour histogram, as the share of pixels in each cell of the colour cube.
pub(super) fn of_colours(images: &[&Observation]) -> Vec<Feature> {
    let cells = images.first().map_or(0, |image| image.histogram.len());
    let cell = |cell| numeric(&colour_name(cell), "", images, move |image| f64::from(image.histogram[cell]));
    (0..cells).map(cell).collect()
}

/// Returns the values of the colour thumbnail.
pub(super) fn of_thumbnails(images: &[&Observation]) -> Vec<Feature> {
    let values = images.first().map_or(0, |image| image.colour.len());
    let value = |value| numeric(&position_name(value), "", images, move |image| f64::from(image.colour[value]));
    (0..values).map(value).collect()
}

/// Returns the name of a cell of the colour cube, with its range in each channel from 0 to 255.
fn colour_name(cell: usize) -> String {
    let range = |level: usize| format!("{} to {}", level * 256 / LEVELS, (level + 1) * 256 / LEVELS - 1);
    let [red, green, blue] = [cell / (LEVELS * LEVELS), cell / LEVELS % LEVELS, cell % LEVELS].map(range);
    format!("share of red {red}, green {green}, blue {blue}")
}

/// Returns the name of a value of the colour thumbnail, with its channel and position, counted from 1 at the top left.
fn position_name(value: usize) -> String {
    let channel = ["red", "green", "blue"][value % 3];
    let (row, column) = (value / 3 / COLOUR_SIDE + 1, value / 3 % COLOUR_SIDE + 1);
    format!("{channel} at column {column}, row {row}")
}

/// Makes a feature with the values `yes` and `no`.
fn flag(name: &str, advice: &'static str, images: &[&Observation], of: impl Fn(&Observation) -> bool) -> Feature {
    named(name, advice, images, |image| if of(image) { "yes".to_owned() } else { "no".to_owned() })
}

/// Makes a feature whose values are names, with a bin for each of the most common names and one bin for all others.
fn named(name: &str, advice: &'static str, images: &[&Observation], of: impl Fn(&Observation) -> String) -> Feature {
    let values: Vec<String> = images.iter().map(|image| of(image)).collect();
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for value in &values {
        *counts.entry(value).or_default() += 1;
    }
    let mut bins: Vec<(&str, usize)> = counts.into_iter().collect();
    bins.sort_by_key(|&(value, count)| (std::cmp::Reverse(count), value));
    let mut bins: Vec<String> = bins.into_iter().map(|(value, _)| value.to_owned()).collect();
    if bins.len() > MAX_BINS {
        bins.truncate(MAX_BINS - 1);
        bins.push("other".to_owned());
    }
    let code = |value: &String| bins.iter().position(|bin| bin == value).unwrap_or(bins.len() - 1) as u8;
    Feature { name: name.to_owned(), advice, codes: values.iter().map(code).collect(), bins }
}

/// Makes a feature whose values are numbers, with a bin for each value if there are few, and bins of equal counts
/// otherwise.
fn numeric(name: &str, advice: &'static str, images: &[&Observation], of: impl Fn(&Observation) -> f64) -> Feature {
    let values: Vec<f64> = images.iter().map(|image| of(image)).collect();
    let mut sorted = values.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut uppers = sorted.clone();
    uppers.dedup();
    if uppers.len() > MAX_BINS {
        uppers = (1..=MAX_BINS).map(|bin| sorted[(sorted.len() * bin).div_ceil(MAX_BINS) - 1]).collect();
        uppers.dedup();
    }
    let bin = |i: usize| match i.checked_sub(1) {
        None => format!("up to {}", rounded(uppers[0])),
        Some(below) => format!("over {} to {}", rounded(uppers[below]), rounded(uppers[i])),
    };
    let code = |value: &f64| uppers.partition_point(|upper| upper < value) as u8;
    Feature {
        name: name.to_owned(),
        advice,
        codes: values.iter().map(code).collect(),
        bins: (0..uppers.len()).map(bin).collect(),
    }
}

/// Rounds a number to three decimals.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_colours_and_positions() {
        assert_eq!(colour_name(27), "share of red 64 to 127, green 128 to 191, blue 192 to 255");
        assert_eq!(position_name(0), "red at column 1, row 1");
        assert_eq!(position_name(3 * (COLOUR_SIDE + 2) + 1), "green at column 3, row 2");
    }
}
