//! The audit of a data set for shortcuts, which are features that predict the class without traces of generation.
//!
//! A detector that learns file formats, sizes or duplicates can score as well as one that learns traces of generation,
//! but it fails on other data (P. Grommelt et al., "Fake or JPEG? Revealing common biases in generated image detection
//! datasets", 2024). The audit therefore fits small classifiers (probes) before any training: on file properties
//! without pixels, on colours alone, and on a tiny thumbnail alone. It also looks for near-duplicates.
//!
//! Ingest extracts an [`Observation`] from each file while the image is in memory. [`near_duplicates`] and [`audit`]
//! use only these observations; 100,000 of them take about 100 MB.

mod association;
mod duplicates;
mod features;
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

pub(crate) use duplicates::join;
pub use duplicates::{Pair, groups, near_duplicates, to_drop};
use features::Feature;
pub use observation::Observation;
use probe::cross_validate;

/// The largest number of images for the probes. More images would hardly change the result.
const MAX_SAMPLED: usize = 20_000;

/// Draws at most `limit` images at random and returns them in their order. Taking the first images would be wrong,
/// because sources often list one class after the other.
fn sample<T: Copy>(images: &[T], limit: usize) -> Vec<T> {
    let mut indices: Vec<usize> = (0..images.len()).collect();
    if indices.len() > limit {
        indices.shuffle(&mut random::stream(0, "audit sample", &[]));
        indices.truncate(limit);
        indices.sort_unstable();
    }
    indices.into_iter().map(|index| images[index]).collect()
}

/// Audits the images of a data set. `images` must not contain exact duplicates. `pairs` is the result of
/// [`near_duplicates`] for the same images. `path` returns the path of an image by its index. The caller sets
/// [`Audit::exact_duplicates`].
pub fn audit(images: &[&Observation], pairs: &[Pair], path: impl Fn(usize) -> String) -> Audit {
    let sample = sample(images, MAX_SAMPLED);
    let fake: Vec<bool> = sample.iter().map(|image| image.label == Label::Fake).collect();
    let files = features::of_files(&sample);
    let associate = |feature: &Feature| association::measure(feature, &fake, cross_validate(&[feature], &fake).roc_auc);
    let mut associations: Vec<Association> = files.par_iter().map(associate).collect();
    let probes = Probes {
        metadata: report::probe(&files, &fake),
        colour_histogram: report::probe(&features::of_colours(&sample), &fake),
        thumbnail: report::probe(&features::of_thumbnails(&sample), &fake),
    };
    let near_duplicates = report::near_duplicates(images, pairs, path);

    let mut shortcuts = shortcuts::of_files(&files, &associations, &probes.metadata, &fake);
    shortcuts.extend(shortcuts::of_content(&probes, &fake));
    shortcuts.extend(shortcuts::of_duplicates(&near_duplicates, images));
    associations.sort_by(|a, b| b.roc_auc.unwrap_or(0.0).total_cmp(&a.roc_auc.unwrap_or(0.0)));
    let detectable_roc_auc = shortcuts::detectable_roc_auc(&fake);
    Audit {
        verdict: shortcuts::verdict(&mut shortcuts, detectable_roc_auc),
        detectable_roc_auc,
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
    fn sample_has_both_classes_of_an_alternating_list() {
        let images: Vec<usize> = (0..1000).collect();
        let found = sample(&images, 100);
        assert_eq!(found.len(), 100);
        assert!(found.is_sorted() && found == sample(&images, 100));
        let fakes = found.iter().filter(|&&image| image % 2 == 1).count();
        assert!((30..=70).contains(&fakes), "{fakes}");
        assert_eq!(sample(&images, 1000), images);
    }

    #[test]
    fn is_inconclusive_without_images_to_test() {
        let report = audit(&[], &[], |image| image.to_string());
        assert_eq!(report.verdict, artifacts::schema::Verdict::Inconclusive);
        assert!(report.why_inconclusive().unwrap().starts_with("0 images are too few"), "{report:?}");
    }
}
