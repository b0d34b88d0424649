//! The limitations of a comparison: what it cannot be relied on for.

use artifacts::schema::Comparison;

use super::detector_names::name;
use super::{datasets, uses_simulated_images};
use crate::format_number::{count, count_noun};
use crate::limitations::{FEW_IMAGES, Limitation};

/// Returns the limitations of a comparison.
pub(super) fn limitations(comparison: &Comparison) -> Vec<Limitation> {
    let mut limitations = Vec::new();
    if uses_simulated_images(comparison) {
        limitations.push(Limitation::new(
            "Real photographs",
            "both the camera images and the generated images are simulated, so another detector may be better on photographs",
        ));
    }
    let datasets = datasets(comparison);
    if datasets.len() > 1 {
        limitations.push(Limitation::new(
            "Any of these data sets as a whole",
            format!(
                "the detectors were evaluated on different ones ({}), and only the images in common are compared",
                datasets.join(", ")
            ),
        ));
    }
    for (index, detector) in comparison.detectors.iter().enumerate() {
        let Some(seen) = detector.seen.filter(|seen| seen.training + seen.validation > 0) else { continue };
        limitations.push(Limitation::new(
            format!("The scores of {} on new images", name(comparison, index)),
            format!(
                "of the {} on which it was evaluated, {} were in its training split and {} in its validation split",
                count_noun(evaluated_images(comparison, index), "image"),
                count(seen.training),
                count(seen.validation)
            ),
        ));
    }
    for (index, detector) in comparison.detectors.iter().enumerate() {
        let Some(judged) = detector.judged.as_ref().filter(|judged| judged.is_partial()) else { continue };
        limitations.push(Limitation::new(
            format!("The images that {} leaves out", name(comparison, index)),
            format!("its file of predictions is not complete: {}", judged.coverage()),
        ));
    }
    for (index, detector) in comparison.detectors.iter().enumerate().filter(|(_, detector)| detector.left_out > 0) {
        limitations.push(Limitation::new(
            format!("Images on which only {} was evaluated", name(comparison, index)),
            format!(
                "{} {} left out",
                count_noun(detector.left_out, "image"),
                if detector.left_out == 1 { "was" } else { "were" }
            ),
        ));
    }
    limitations.push(Limitation::new(
        "Deciding which training method is better",
        "each detector is a single training run. The tests account for the choice of images, but not for the random seed of \
         the training",
    ));
    limitations.push(Limitation::new(
        "Other data",
        "the better detector on these images can be worse on images from other sources. A shortcut in the data favours the \
         detector that learned it: see the data audit in the report of each run",
    ));
    if comparison.images < FEW_IMAGES {
        limitations.push(Limitation::new(
            "Small differences",
            format!("{} in common are too few to detect them", count_noun(comparison.images, "image")),
        ));
    }
    limitations
}

/// Returns the number of images on which a detector was evaluated, including those that are not in common. The overlap
/// with its training split is only known for all of these images together.
pub(super) fn evaluated_images(comparison: &Comparison, detector: usize) -> u64 {
    comparison.images + comparison.detectors[detector].left_out
}

#[cfg(test)]
mod tests {
    use artifacts::schema::Seen;

    use super::super::test_data::comparison;
    use super::*;

    fn reasons(comparison: &Comparison) -> Vec<String> {
        limitations(comparison).into_iter().map(|limitation| limitation.reason).collect()
    }

    #[test]
    fn counts_images_of_the_training_split_among_all_evaluated_images() {
        let mut two = comparison();
        two.detectors[1].seen = Some(Seen { training: 41, validation: 5 });
        let expected =
            "of the 400 images on which it was evaluated, 41 were in its training split and 5 in its validation split";
        assert!(reasons(&two).contains(&expected.to_owned()), "{:?}", reasons(&two));
        two.detectors[1].left_out = 99_600;
        assert!(
            reasons(&two).iter().any(|why| why.starts_with("of the 100,000 images on which it was evaluated, 41")),
            "{:?}",
            reasons(&two)
        );
    }

    #[test]
    fn counts_images_that_were_left_out() {
        let mut two = comparison();
        two.detectors[0].left_out = 1;
        two.detectors[1].left_out = 30;
        assert!(reasons(&two).contains(&"1 image was left out".to_owned()), "{:?}", reasons(&two));
        assert!(reasons(&two).contains(&"30 images were left out".to_owned()), "{:?}", reasons(&two));
    }
}
