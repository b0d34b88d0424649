//! Selection of the features that are shortcuts, and their explanations.

use artifacts::Split;
use artifacts::schema::{Association, Audit, NearDuplicates, Probe, Probes, Shortcut, Verdict};

use super::association;
use super::features::Feature;
use super::observation::Observation;

/// The margin by which the ROC-AUC of a file property must exceed 0.5 to be a shortcut.
const MARGIN: f64 = 0.1;
/// The number of standard errors by which it must exceed 0.5 as well.
const STANDARD_ERRORS: f64 = 3.0;
/// The number of standard errors by which a true ROC-AUC must exceed the threshold, so that the measured one exceeds it
/// in 9 of 10 cases: the 90th percentile of the normal distribution.
const POWER: f64 = 1.2816;
/// The smallest ROC-AUC at which colours or thumbnails are a shortcut. Classes with slightly different subjects reach
/// 0.6 to 0.8. This is a known bias, but no reason to distrust every score.
const MIN_CONTENT_ROC_AUC: f64 = 0.85;
/// The largest acceptable share of test or validation images with near-duplicates in training, and the largest
/// acceptable number of near-duplicate pairs with different labels per image.
const MAX_DUPLICATES: f64 = 0.01;

/// Returns the file properties that each predict the class. If there are none, returns all properties as one shortcut
/// if they predict the class together.
pub(super) fn of_files(
    features: &[Feature],
    associations: &[Association],
    metadata: &Probe,
    fake: &[bool],
) -> Vec<Shortcut> {
    let threshold = threshold(fake);
    let is_shortcut = |roc_auc: &Option<f64>| roc_auc.is_some_and(|roc_auc| roc_auc >= threshold);
    let mut shortcuts: Vec<Shortcut> = features
        .iter()
        .zip(associations)
        .filter(|(_, association)| is_shortcut(&association.roc_auc))
        .map(|(feature, association)| Shortcut {
            feature: feature.name.clone(),
            roc_auc: association.roc_auc,
            explanation: format!(
                "\"{}\" predicts the class of a file: {}; {}",
                feature.name,
                association::describe(&association.bins),
                feature.advice
            ),
        })
        .collect();
    if shortcuts.is_empty() && is_shortcut(&metadata.roc_auc) {
        let names: Vec<&str> = metadata.carried_by.iter().map(|share| share.feature.as_str()).collect();
        shortcuts.push(Shortcut {
            feature: "metadata".to_owned(),
            roc_auc: metadata.roc_auc,
            explanation: format!(
                "no single property of a file predicts its class, but all of them together do, mainly {}",
                names.join(", ")
            ),
        });
    }
    shortcuts
}

/// Returns the probes on colours and thumbnails that reach [`MIN_CONTENT_ROC_AUC`] and the threshold of file properties,
/// which is higher for few images. `fake[i]` is whether image `i` is a fake.
pub(super) fn of_content(probes: &Probes, fake: &[bool]) -> Vec<Shortcut> {
    let threshold = MIN_CONTENT_ROC_AUC.max(threshold(fake));
    let content = [
        (
            "colour histogram",
            "the colours of an image, without their positions, predict its class",
            &probes.colour_histogram,
        ),
        (
            "thumbnail",
            "a thumbnail of 8x8 pixels, which has no traces of generation, predicts the class of an image",
            &probes.thumbnail,
        ),
    ];
    content
        .into_iter()
        .filter(|(_, _, probe)| probe.roc_auc.is_some_and(|roc_auc| roc_auc >= threshold))
        .map(|(feature, finding, probe)| Shortcut {
            feature: feature.to_owned(),
            roc_auc: probe.roc_auc,
            explanation: format!(
                "{finding}; the classes probably show different subjects: choose the same subjects for both"
            ),
        })
        .collect()
}

/// Returns warnings about near-duplicates that make scores too high or labels doubtful.
pub(super) fn of_duplicates(found: &NearDuplicates, images: &[&Observation]) -> Vec<Shortcut> {
    const ADVICE: &str = "set ingest.drop_near_duplicates = true";
    let mut shortcuts = Vec::new();
    let count = |split| images.iter().filter(|image| image.split == split).count();
    let (test, val) = (count(Split::Test), count(Split::Val));
    if found.leaked_test_images as f64 > MAX_DUPLICATES * test as f64 {
        shortcuts.push(Shortcut {
            feature: "near-duplicates across splits".to_owned(),
            roc_auc: None,
            explanation: format!(
                "{} of {test} test images have near-duplicates among the training or validation images; {ADVICE}",
                found.leaked_test_images
            ),
        });
    }
    let leaked = found.leaked_val_images.unwrap_or(0);
    if leaked as f64 > MAX_DUPLICATES * val as f64 {
        shortcuts.push(Shortcut {
            feature: "near-duplicates of validation images".to_owned(),
            roc_auc: None,
            explanation: format!(
                "{leaked} of {val} validation images have near-duplicates among the training images, so that checkpoint, \
                 temperature, threshold and inconclusive range are chosen on images that the model may have memorised; \
                 {ADVICE}"
            ),
        });
    }
    if found.across_labels as f64 > MAX_DUPLICATES * images.len() as f64 {
        shortcuts.push(Shortcut {
            feature: "near-duplicates across labels".to_owned(),
            roc_auc: None,
            explanation: format!("{} pairs of near-duplicates have different labels; {ADVICE}", found.across_labels),
        });
    }
    shortcuts
}

/// Sorts the shortcuts, strongest first, and returns the verdict. `detectable` is the result of [`detectable_roc_auc`].
pub(super) fn verdict(shortcuts: &mut [Shortcut], detectable: Option<f64>) -> Verdict {
    // Shortcuts without a ROC-AUC come last. The sort is stable, so that ties keep the order of the features.
    shortcuts.sort_by(|a, b| b.roc_auc.unwrap_or(0.0).total_cmp(&a.roc_auc.unwrap_or(0.0)));
    if !shortcuts.is_empty() {
        Verdict::Warning
    } else if detectable.is_some_and(|roc_auc| roc_auc <= Audit::MAX_DETECTABLE_ROC_AUC) {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    }
}

/// Returns the smallest ROC-AUC at which a file property is a shortcut. `fake[i]` is whether image `i` is a fake.
fn threshold(fake: &[bool]) -> f64 {
    0.5 + MARGIN.max(STANDARD_ERRORS * standard_error(fake))
}

/// Returns the lowest true ROC-AUC of a file property that is found in 9 of 10 cases, in the normal approximation. `None`
/// if it would be above 1, or if there is only one class.
pub(super) fn detectable_roc_auc(fake: &[bool]) -> Option<f64> {
    let has_both = fake.contains(&true) && fake.contains(&false);
    Some(threshold(fake) + POWER * standard_error(fake)).filter(|roc_auc| has_both && *roc_auc <= 1.0)
}

/// Returns the standard error of the ROC-AUC of random scores (J. A. Hanley, B. J. McNeil, "The meaning and use of the
/// area under a receiver operating characteristic (ROC) curve", 1982; the variance of the Mann-Whitney statistic
/// without ties).
fn standard_error(fake: &[bool]) -> f64 {
    let fakes = fake.iter().filter(|&&fake| fake).count() as f64;
    let reals = fake.len() as f64 - fakes;
    if fakes == 0.0 || reals == 0.0 { 0.0 } else { ((fakes + reals + 1.0) / (12.0 * fakes * reals)).sqrt() }
}

#[cfg(test)]
mod tests {
    use artifacts::random;
    use rand::RngExt;

    use super::super::probe::cross_validate;
    use super::*;

    #[test]
    fn standard_error_agrees_with_a_worked_example() {
        let fake: Vec<bool> = (0..100).map(|i| i < 50).collect();
        assert!((standard_error(&fake) - 0.058_02).abs() < 1e-4);
    }

    #[test]
    fn shortcuts_without_roc_auc_come_last() {
        let shortcut =
            |feature: &str, roc_auc| Shortcut { feature: feature.to_owned(), roc_auc, explanation: String::new() };
        let mut shortcuts = [shortcut("duplicates", None), shortcut("b", Some(0.7)), shortcut("a", Some(0.9))];
        assert_eq!(verdict(&mut shortcuts, Some(0.7)), Verdict::Warning);
        let order: Vec<&str> = shortcuts.iter().map(|shortcut| shortcut.feature.as_str()).collect();
        assert_eq!(order, ["a", "b", "duplicates"]);
        assert_eq!(verdict(&mut [], Some(0.7)), Verdict::Pass);
    }

    fn classes(reals: usize, fakes: usize) -> Vec<bool> {
        (0..reals + fakes).map(|image| image >= reals).collect()
    }

    #[test]
    fn passes_only_with_enough_images_of_both_classes() {
        let without_shortcuts = |reals, fakes| verdict(&mut [], detectable_roc_auc(&classes(reals, fakes)));
        assert_eq!([(5, 5), (25, 25), (45, 45)].map(|(r, f)| without_shortcuts(r, f)), [Verdict::Inconclusive; 3]);
        assert_eq!([(50, 50), (140, 30)].map(|(r, f)| without_shortcuts(r, f)), [Verdict::Pass; 2]);
        assert_eq!([(20_000, 24), (1000, 0)].map(|(r, f)| without_shortcuts(r, f)), [Verdict::Inconclusive; 2]);
        let rounded = |n: usize| detectable_roc_auc(&classes(n, n)).map(|roc_auc| (roc_auc * 1000.0).round() / 1000.0);
        assert_eq!([5, 25, 50, 500].map(rounded), [None, Some(0.853), Some(0.748), Some(0.623)]);
    }

    #[test]
    fn finds_a_detectable_property_in_nine_of_ten_cases() {
        let fake = classes(50, 50);
        let mut stream = random::stream(3, "detectable property", &[]);
        let cases = 200;
        let found = (0..cases).filter(|_| {
            // The value agrees with the class with probability 3/4, so the true ROC-AUC is 0.75.
            let codes = fake.iter().map(|&fake| u8::from(fake != (stream.random::<f32>() < 0.25))).collect();
            let feature = Feature { name: String::new(), advice: "", codes, bins: vec![String::new(); 2] };
            cross_validate(&[&feature], &fake).roc_auc.unwrap() >= threshold(&fake)
        });
        let found = found.count();
        assert!(found * 10 >= cases * 9, "{found} of {cases}");
    }
}
