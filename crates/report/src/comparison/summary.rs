//! The sentences at the top of a comparison: which detector is better, and whether the difference is significant.

use artifacts::schema::{Comparison, Interval};

use super::detector_names::name;
use super::limitations::evaluated_images;
use crate::format_number::{count, count_noun, p_value, percent, ratio, score};

/// A difference with a lower p-value is called significant.
const SIGNIFICANCE_LEVEL: f64 = 0.05;
/// If a larger share of the evaluated images was in a detector's training split, its score is not meaningful.
const MAX_SHARE_SEEN: f64 = 0.01;

/// The DeLong test of the best detector against one other.
struct TestAgainstBest {
    /// The index of the other detector.
    other: usize,
    /// ROC-AUC of the best detector minus that of the other.
    difference: f64,
    interval: Interval,
    p: Option<f64>,
}

impl TestAgainstBest {
    fn is_significant(&self) -> bool {
        self.p.is_some_and(|p| p < SIGNIFICANCE_LEVEL)
    }
}

/// Returns the sentences of the summary.
pub(super) fn sentences(comparison: &Comparison) -> Vec<String> {
    let Some(best) = best_detector(comparison) else {
        return vec![
            "The images in common contain only one class, so it is unknown which detector separates the classes better."
                .to_owned(),
        ];
    };
    let tests = tests_against(comparison, best);
    let mut sentences = vec![match tests.as_slice() {
        [test] => compare_two(comparison, best, test),
        tests => compare_several(comparison, best, tests),
    }];
    sentences.extend(compare_accuracies(comparison, best, &tests));
    sentences
}

/// Returns the index of the detector with the highest ROC-AUC. If several have the same ROC-AUC, returns the first of
/// them.
fn best_detector(comparison: &Comparison) -> Option<usize> {
    let areas = comparison.detectors.iter().enumerate().filter_map(|(i, detector)| Some((i, detector.scores.roc_auc?)));
    areas.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(&a.0))).map(|(detector, _)| detector)
}

fn tests_against(comparison: &Comparison, best: usize) -> Vec<TestAgainstBest> {
    let of_best = comparison.pairs.iter().filter(|pair| pair.first == best || pair.second == best);
    of_best
        .filter_map(|pair| {
            let test = pair.roc_auc?;
            let swapped = pair.second == best;
            let Interval { low, high } = test.interval;
            Some(TestAgainstBest {
                other: if swapped { pair.first } else { pair.second },
                difference: if swapped { -test.difference } else { test.difference },
                interval: if swapped { Interval { low: -high, high: -low } } else { test.interval },
                p: test.p_holm,
            })
        })
        .collect()
}

/// Describes how many of a detector's evaluation images were in its training split. Returns `None` if they are too few
/// to matter.
fn training_overlap(comparison: &Comparison, detector: usize) -> Option<String> {
    let seen = comparison.detectors[detector].seen?.training;
    let evaluated = evaluated_images(comparison, detector);
    let too_many = ratio(seen, evaluated).is_some_and(|share| share > MAX_SHARE_SEEN);
    too_many.then(|| {
        let were = if seen == 1 { "was" } else { "were" };
        format!(
            "{} of the {} on which it was evaluated {were} in its training split",
            count(seen),
            count_noun(evaluated, "image")
        )
    })
}

fn roc_auc(comparison: &Comparison, detector: usize) -> String {
    score(comparison.detectors[detector].scores.roc_auc)
}

fn compare_two(comparison: &Comparison, best: usize, test: &TestAgainstBest) -> String {
    let (best_name, other_name) = (name(comparison, best), name(comparison, test.other));
    let images = count(comparison.images);
    let scores = format!(
        "ROC-AUC is {} and {}, a difference of {:.3} (95% confidence interval {:.3} to {:.3}; DeLong's test, p {})",
        roc_auc(comparison, best),
        roc_auc(comparison, test.other),
        test.difference,
        test.interval.low,
        test.interval.high,
        equals_p(test.p)
    );
    if !test.is_significant() {
        return format!("These {images} images do not show which of {best_name} and {other_name} is better: {scores}.");
    }
    match training_overlap(comparison, best) {
        Some(overlap) => format!(
            "{best_name} has a higher score than {other_name} on these {images} images, but {overlap}, so this does not show \
             that it is better: {scores}."
        ),
        None => format!("{best_name} separates these {images} images better than {other_name}: {scores}."),
    }
}

fn compare_several(comparison: &Comparison, best: usize, tests: &[TestAgainstBest]) -> String {
    let names = |significant: bool| -> Vec<String> {
        let which = tests.iter().filter(|test| test.is_significant() == significant);
        which.map(|test| format!("{} ({})", name(comparison, test.other), roc_auc(comparison, test.other))).collect()
    };
    if tests.is_empty() {
        return format!(
            "Only {} has scores, with a ROC-AUC of {} on these {} images. The others have verdicts only, so accuracies are \
             compared.",
            name(comparison, best),
            roc_auc(comparison, best),
            count(comparison.images)
        );
    }
    let (worse, undecided) = (names(true), names(false));
    let mut text = format!(
        "Of {} detectors, {} has the highest ROC-AUC on these {} images: {}.",
        comparison.detectors.len(),
        name(comparison, best),
        count(comparison.images),
        roc_auc(comparison, best)
    );
    if let Some(overlap) = training_overlap(comparison, best) {
        return format!("{text} However, {overlap}, so this does not show that it is better.");
    }
    if !worse.is_empty() {
        text.push_str(&format!(" It is significantly better than {}.", worse.join(", ")));
    }
    if !undecided.is_empty() {
        text.push_str(&format!(" These images do not show whether it is better than {}.", undecided.join(", ")));
    }
    text
}

/// Compares the accuracies at threshold 0.5 of the best detector and of the one with the next lower ROC-AUC.
fn compare_accuracies(comparison: &Comparison, best: usize, tests: &[TestAgainstBest]) -> Option<String> {
    let runner_up = tests.iter().min_by(|a, b| a.difference.total_cmp(&b.difference))?.other;
    let pair = comparison.pairs.iter().find(|pair| {
        (pair.first == best && pair.second == runner_up) || (pair.first == runner_up && pair.second == best)
    })?;
    let test = &pair.accuracy;
    let (only_best, only_other) =
        if pair.first == best { (test.only_first, test.only_second) } else { (test.only_second, test.only_first) };
    let accuracy = |detector: usize| percent(comparison.detectors[detector].scores.accuracy);
    let (best_name, other_name) = (name(comparison, best), name(comparison, runner_up));
    Some(format!(
        "At the threshold of 0.5, {best_name} classifies {} of the images correctly and {other_name} {}. {best_name} alone is \
         correct on {} and {other_name} alone on {} (McNemar's test, p {}).",
        accuracy(best),
        accuracy(runner_up),
        count_noun(only_best, "image"),
        count(only_other),
        equals_p(Some(test.p_holm))
    ))
}

/// Formats a p-value with its relation, such as "= 0.0080" or "< 0.0001".
fn equals_p(p: Option<f64>) -> String {
    let text = p_value(p);
    if text.starts_with('<') { text } else { format!("= {text}") }
}

#[cfg(test)]
mod tests {
    use artifacts::schema::Seen;

    use super::super::test_data::comparison;
    use super::*;

    #[test]
    fn names_a_better_detector_only_if_the_difference_is_significant() {
        let mut two = comparison();
        let text = sentences(&two).join(" ");
        assert!(text.contains("runs/b separates these 400 images better than runs/a"), "{text}");
        assert!(
            text.contains("a difference of 0.020 (95% confidence interval 0.005 to 0.035; DeLong's test, p = 0.0080)"),
            "{text}"
        );
        assert!(text.contains("runs/b alone is correct on 12 images and runs/a alone on 4"), "{text}");
        two.pairs[0].roc_auc.as_mut().unwrap().p_holm = Some(0.3);
        assert!(sentences(&two)[0].starts_with("These 400 images do not show which of runs/b and runs/a is better"));
    }

    #[test]
    fn does_not_name_a_better_detector_if_it_was_trained_on_the_images() {
        let mut two = comparison();
        two.detectors[1].seen = Some(Seen { training: 41, validation: 5 });
        let text = sentences(&two).join(" ");
        assert!(
            text.starts_with(
                "runs/b has a higher score than runs/a on these 400 images, but 41 of the 400 images on which it was \
                 evaluated were in its training split, so this does not show that it is better:"
            ),
            "{text}"
        );
    }

    #[test]
    fn ignores_a_negligible_share_of_training_images() {
        let mut two = comparison();
        two.detectors[1].seen = Some(Seen { training: 1, validation: 0 });
        two.detectors[1].left_out = 99_600;
        assert!(sentences(&two)[0].contains("separates these 400 images better"), "{:?}", sentences(&two));
    }
}
