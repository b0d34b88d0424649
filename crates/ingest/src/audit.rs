//! The audit of a data set: whether the class can be told without looking for traces.
//!
//! A detector that learns file formats, sizes or duplicates scores as well as one that learns traces, until it meets
//! other data (P. Grommelt et al., "Fake or JPEG? Revealing common biases in generated image detection datasets", 2024).
//! So before any training, small classifiers are given what a file tells without its pixels, its colours alone, and a tiny
//! thumbnail alone, and pictures that are nearly the same are looked for.
//!
//! Ingest makes an [`Observation`] of each file while it is decoded. [`near_duplicates`] and [`audit`] then work on those,
//! in memory and without the files; 100,000 of them take some 100 MB.

mod association;
mod duplicates;
mod features;
mod jpeg;
mod observation;
mod phash;
mod probe;
mod report;
mod shortcuts;
mod thumbnail;

use artifacts::Label;
use artifacts::random;
use artifacts::schema::{Association, Audit, Probes};
use rand::seq::SliceRandom;
use rayon::prelude::*;

pub use duplicates::{Pair, groups, near_duplicates, to_drop};
use features::Feature;
pub use observation::Observation;
use probe::cross_validate;

/// The most images that the probes look at; more would make them no surer, only slower.
const MOST_SAMPLED: usize = 20_000;

/// At most so many images, drawn at random, because data sets are often listed in turn by class; in their order.
fn sample<T: Copy>(images: &[T], most: usize) -> Vec<T> {
    let mut places: Vec<usize> = (0..images.len()).collect();
    if places.len() > most {
        places.shuffle(&mut random::stream(0, "audit sample", &[]));
        places.truncate(most);
        places.sort_unstable();
    }
    places.into_iter().map(|place| images[place]).collect()
}

/// Audits a data set. `pairs`: what [`near_duplicates`] found among the same images. `path`: an image's path by its place. Of
/// exact duplicates one is among the images; who took out the others says how many there were.
pub fn audit(images: &[&Observation], pairs: &[Pair], path: impl Fn(usize) -> String) -> Audit {
    let sample = sample(images, MOST_SAMPLED);
    let fake: Vec<bool> = sample.iter().map(|image| image.label == Label::Fake).collect();
    let files = features::of_files(&sample);
    let associate = |feature: &Feature| association::of(feature, &fake, cross_validate(&[feature], &fake).roc_auc);
    let mut associations: Vec<Association> = files.par_iter().map(associate).collect();
    let probes = Probes {
        metadata: report::probe(&files, &fake),
        colour_histogram: report::probe(&features::of_colours(&sample), &fake),
        thumbnail: report::probe(&features::of_thumbnails(&sample), &fake),
    };
    let near_duplicates = report::near_duplicates(images, pairs, path);

    let mut shortcuts = shortcuts::of_files(&files, &associations, &probes.metadata, &fake);
    shortcuts.extend(shortcuts::of_content(&probes));
    shortcuts.extend(shortcuts::untestable(&probes, &fake));
    shortcuts.extend(shortcuts::of_duplicates(&near_duplicates, images));
    associations.sort_by(|a, b| b.roc_auc.unwrap_or(0.0).total_cmp(&a.roc_auc.unwrap_or(0.0)));
    Audit {
        verdict: shortcuts::verdict(&mut shortcuts),
        shortcuts,
        images: images.len() as u64,
        sampled: sample.len() as u64,
        associations,
        probes,
        exact_duplicates: None,
        near_duplicates,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_both_classes_of_a_list_that_has_them_in_turn() {
        let images: Vec<usize> = (0..1000).collect();
        let found = sample(&images, 100);
        assert_eq!(found.len(), 100);
        assert!(found.is_sorted() && found == sample(&images, 100));
        let fakes = found.iter().filter(|&&image| image % 2 == 1).count();
        assert!((30..=70).contains(&fakes), "{fakes}");
        assert_eq!(sample(&images, 1000), images);
    }

    #[test]
    fn data_of_one_class_are_not_said_to_be_without_shortcuts() {
        let report = audit(&[], &[], |image| image.to_string());
        assert_eq!(report.verdict, artifacts::schema::Verdict::Warning);
        assert!(report.shortcuts[0].explanation.contains("0 real and 0 fake"), "{:?}", report.shortcuts);
    }
}
