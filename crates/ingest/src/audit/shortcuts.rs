//! From tables to a verdict: what counts as a shortcut, and how it is put into words.

use artifacts::Split;
use artifacts::schema::{Association, NearDuplicates, Probe, Probes, Shortcut, Verdict};

use super::association;
use super::features::Feature;
use super::observation::Observation;

/// What a file tells is a shortcut from this far above the 0.5 of chance on …
const MARGIN: f64 = 0.1;
/// … if that is also this many standard errors.
const STANDARD_ERRORS: f64 = 3.0;
/// Colours and thumbnails are a shortcut from this ROC-AUC on. Classes with somewhat different subjects reach 0.6 to 0.8,
/// which is a bias to know of, and no reason to distrust every score.
const CONTENT: f64 = 0.85;
/// The share of test or validation images with near-duplicates in training, or of all images in pairs of both labels, that is
/// too large.
const DUPLICATES: f64 = 0.01;

/// Features of the files that tell the classes apart, or all of them together where none does alone.
pub(super) fn of_files(
    features: &[Feature],
    associations: &[Association],
    metadata: &Probe,
    fake: &[bool],
) -> Vec<Shortcut> {
    let threshold = 0.5 + MARGIN.max(STANDARD_ERRORS * standard_error(fake));
    let tells = |roc_auc: &Option<f64>| roc_auc.is_some_and(|roc_auc| roc_auc >= threshold);
    let mut shortcuts: Vec<Shortcut> = features
        .iter()
        .zip(associations)
        .filter(|(_, association)| tells(&association.roc_auc))
        .map(|(feature, association)| Shortcut {
            feature: feature.name.clone(),
            roc_auc: association.roc_auc,
            explanation: format!(
                "the {} of a file gives its class away: {}; {}",
                feature.name,
                association::in_words(&association.bins),
                feature.advice
            ),
        })
        .collect();
    if shortcuts.is_empty() && tells(&metadata.roc_auc) {
        let names: Vec<&str> = metadata.carried_by.iter().map(|share| share.feature.as_str()).collect();
        shortcuts.push(Shortcut {
            feature: "metadata".to_owned(),
            roc_auc: metadata.roc_auc,
            explanation: format!(
                "no single feature of a file gives its class away, but together they do; most of it comes from {}",
                names.join(", ")
            ),
        });
    }
    shortcuts
}

/// Probes that see colours or a thumbnail, where they do about as well as a detector should.
pub(super) fn of_content(probes: &Probes) -> Vec<Shortcut> {
    let seen = [
        ("colour histogram", "the colours alone, without where they stand,", &probes.colour_histogram),
        ("thumbnail", "a thumbnail of 8x8 pixels, in which no trace can survive,", &probes.thumbnail),
    ];
    seen.into_iter()
        .filter(|(_, _, probe)| probe.roc_auc.is_some_and(|roc_auc| roc_auc >= CONTENT))
        .map(|(feature, what, probe)| Shortcut {
            feature: feature.to_owned(),
            roc_auc: probe.roc_auc,
            explanation: format!(
                "{what} gives the class away: the classes show different things; match their subjects"
            ),
        })
        .collect()
}

/// Data of which the probes can say nothing: not a shortcut, but no reason to say that there is none either.
pub(super) fn untestable(probes: &Probes, fake: &[bool]) -> Option<Shortcut> {
    let fakes = fake.iter().filter(|&&fake| fake).count();
    probes.metadata.roc_auc.is_none().then(|| Shortcut {
        feature: "too few images of a class".to_owned(),
        roc_auc: None,
        explanation: format!(
            "with {} real and {fakes} fake images it cannot be tested whether anything gives the class away",
            fake.len() - fakes
        ),
    })
}

/// Near-duplicates that make a score too good, or labels doubtful.
pub(super) fn of_duplicates(found: &NearDuplicates, images: &[&Observation]) -> Vec<Shortcut> {
    const ACT: &str = "set ingest.drop_near_duplicates = true";
    let mut shortcuts = Vec::new();
    let count = |split| images.iter().filter(|image| image.split == split).count();
    let (test, val) = (count(Split::Test), count(Split::Val));
    if found.leaked_test_images as f64 > DUPLICATES * test as f64 {
        shortcuts.push(Shortcut {
            feature: "near-duplicates across splits".to_owned(),
            roc_auc: None,
            explanation: format!(
                "{} of {test} test images are nearly the same as images used for training or model selection; {ACT}",
                found.leaked_test_images
            ),
        });
    }
    let leaked = found.leaked_val_images.unwrap_or(0);
    if leaked as f64 > DUPLICATES * val as f64 {
        shortcuts.push(Shortcut {
            feature: "near-duplicates of validation images".to_owned(),
            roc_auc: None,
            explanation: format!(
                "{leaked} of {val} validation images are nearly the same as images that are trained on, so that the \
                 checkpoint, the temperature, the threshold and the band are chosen on images that it has memorised; {ACT}"
            ),
        });
    }
    if found.across_labels as f64 > DUPLICATES * images.len() as f64 {
        shortcuts.push(Shortcut {
            feature: "near-duplicates across labels".to_owned(),
            roc_auc: None,
            explanation: format!(
                "{} pairs of images are nearly the same and have different labels; {ACT}",
                found.across_labels
            ),
        });
    }
    shortcuts
}

/// The verdict that a list of shortcuts amounts to; sorts them, strongest first.
pub(super) fn verdict(shortcuts: &mut [Shortcut]) -> Verdict {
    // What has no figure (duplicates) goes last. Sorting is stable, so equals stay in the order of the features.
    shortcuts.sort_by(|a, b| b.roc_auc.unwrap_or(0.0).total_cmp(&a.roc_auc.unwrap_or(0.0)));
    if shortcuts.is_empty() { Verdict::Pass } else { Verdict::Warning }
}

/// Deviation of the ROC-AUC of scores that know nothing (J. A. Hanley, B. J. McNeil, "The meaning and use of the area
/// under a receiver operating characteristic (ROC) curve", 1982; the variance of the Mann-Whitney statistic without ties).
fn standard_error(fake: &[bool]) -> f64 {
    let fakes = fake.iter().filter(|&&fake| fake).count() as f64;
    let reals = fake.len() as f64 - fakes;
    if fakes == 0.0 || reals == 0.0 { 0.0 } else { ((fakes + reals + 1.0) / (12.0 * fakes * reals)).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_of_fifty_and_fifty() {
        let fake: Vec<bool> = (0..100).map(|i| i < 50).collect();
        assert!((standard_error(&fake) - 0.058_02).abs() < 1e-4);
    }

    #[test]
    fn shortcuts_without_a_figure_go_last() {
        let shortcut =
            |feature: &str, roc_auc| Shortcut { feature: feature.to_owned(), roc_auc, explanation: String::new() };
        let mut shortcuts = [shortcut("duplicates", None), shortcut("b", Some(0.7)), shortcut("a", Some(0.9))];
        assert_eq!(verdict(&mut shortcuts), Verdict::Warning);
        let order: Vec<&str> = shortcuts.iter().map(|shortcut| shortcut.feature.as_str()).collect();
        assert_eq!(order, ["a", "b", "duplicates"]);
        assert_eq!(verdict(&mut []), Verdict::Pass);
    }
}
