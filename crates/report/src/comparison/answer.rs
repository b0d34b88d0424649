//! Which detector is better, in sentences.

use artifacts::schema::{Comparison, Interval};

use super::{name, p_value};
use crate::answer::{FEW_IMAGES, Limit};
use crate::number::{count, counted, percent, ratio, score};
use crate::text::visible;

/// A difference whose p-value is below this is more than chance would give.
const LEVEL: f64 = 0.05;
/// A share of judged images that were trained on above this makes a score worthless, as the audit's leaks do.
const SEEN: f64 = 0.01;

/// The best detector against one other.
struct Duel {
    other: usize,
    difference: f64,
    interval: Interval,
    p: Option<f64>,
}

/// The entrant with the largest area, where areas are defined.
pub(super) fn best(comparison: &Comparison) -> Option<usize> {
    let areas = comparison.detectors.iter().enumerate().filter_map(|(i, entrant)| Some((i, entrant.scores.roc_auc?)));
    // Of equals the first.
    areas.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(&a.0))).map(|(entrant, _)| entrant)
}

/// The sentences of the first screen.
pub(super) fn sentences(comparison: &Comparison) -> Vec<String> {
    let Some(best) = best(comparison) else {
        return vec![
            "The images in common hold one class only, so which detector tells the classes apart better is not known."
                .to_owned(),
        ];
    };
    let duels = duels(comparison, best);
    let mut sentences = vec![match duels.as_slice() {
        [duel] => of_two(comparison, best, duel),
        duels => of_several(comparison, best, duels),
    }];
    sentences.extend(accuracies(comparison, best, &duels));
    sentences
}

fn duels(comparison: &Comparison, best: usize) -> Vec<Duel> {
    let of_best = comparison.pairs.iter().filter(|pair| pair.first == best || pair.second == best);
    of_best
        .filter_map(|pair| {
            let test = pair.roc_auc?;
            let turned = pair.second == best;
            let Interval { low, high } = test.interval;
            Some(Duel {
                other: if turned { pair.first } else { pair.second },
                difference: if turned { -test.difference } else { test.difference },
                interval: if turned { Interval { low: -high, high: -low } } else { test.interval },
                p: test.p_holm,
            })
        })
        .collect()
}

fn is_certain(duel: &Duel) -> bool {
    duel.p.is_some_and(|p| p < LEVEL)
}

/// How many images an entrant judged: of the images in common alone it is not known which it had seen.
fn judged(comparison: &Comparison, entrant: usize) -> u64 {
    comparison.images + comparison.detectors[entrant].left_out
}

/// "41 of the 400 images that it judged were in its training split", where they are so many that its score says nothing.
fn learnt_by_heart(comparison: &Comparison, entrant: usize) -> Option<String> {
    let seen = comparison.detectors[entrant].seen?.training;
    let judged = judged(comparison, entrant);
    let too_many = ratio(seen, judged).is_some_and(|share| share > SEEN);
    too_many.then(|| {
        let were = if seen == 1 { "was" } else { "were" };
        format!("{} of the {} that it judged {were} in its training split", count(seen), counted(judged, "image"))
    })
}

fn area(comparison: &Comparison, entrant: usize) -> String {
    score(comparison.detectors[entrant].scores.roc_auc)
}

fn of_two(comparison: &Comparison, best: usize, duel: &Duel) -> String {
    let (name_best, name_other) = (name(comparison, best), name(comparison, duel.other));
    let (area_best, area_other) = (area(comparison, best), area(comparison, duel.other));
    let images = count(comparison.images);
    let measured = format!(
        "ROC-AUC {area_best} against {area_other}, a difference of {:.3} (95% interval {:.3} to {:.3}; DeLong, p {})",
        duel.difference,
        duel.interval.low,
        duel.interval.high,
        equals(duel.p)
    );
    if !is_certain(duel) {
        return format!(
            "These {images} images do not say which of the two is better: {name_best} and {name_other} have {measured}."
        );
    }
    match learnt_by_heart(comparison, best) {
        Some(seen) => format!(
            "{name_best} is ahead of {name_other} on these {images} images, but {seen}, so that this says nothing: \
             {measured}."
        ),
        None => format!("{name_best} tells these {images} images apart better than {name_other}: {measured}."),
    }
}

fn of_several(comparison: &Comparison, best: usize, duels: &[Duel]) -> String {
    let names = |certain: bool| -> Vec<String> {
        let which = duels.iter().filter(|duel| is_certain(duel) == certain);
        which.map(|duel| format!("{} ({})", name(comparison, duel.other), area(comparison, duel.other))).collect()
    };
    let (beaten, open) = (names(true), names(false));
    let mut text = format!(
        "Of {} detectors {} has the highest ROC-AUC on these {} images, {}.",
        comparison.detectors.len(),
        name(comparison, best),
        count(comparison.images),
        area(comparison, best)
    );
    if let Some(seen) = learnt_by_heart(comparison, best) {
        return format!("{text} But {seen}, so that this says nothing.");
    }
    if !beaten.is_empty() {
        text.push_str(&format!(" That is more than chance would give against {}.", beaten.join(", ")));
    }
    if !open.is_empty() {
        text.push_str(&format!(" These images do not say whether it is better than {}.", open.join(", ")));
    }
    text
}

/// The verdicts at 0.5 of the best and of the one next to it.
fn accuracies(comparison: &Comparison, best: usize, duels: &[Duel]) -> Option<String> {
    let runner_up = duels.iter().min_by(|a, b| a.difference.total_cmp(&b.difference))?.other;
    let pair = comparison.pairs.iter().find(|pair| {
        (pair.first == best && pair.second == runner_up) || (pair.first == runner_up && pair.second == best)
    })?;
    let test = &pair.accuracy;
    let (only_best, only_other) =
        if pair.first == best { (test.only_first, test.only_second) } else { (test.only_second, test.only_first) };
    let right = |entrant: usize| percent(comparison.detectors[entrant].scores.accuracy);
    let (name_best, name_other) = (name(comparison, best), name(comparison, runner_up));
    Some(format!(
        "At the threshold of 0.5 {name_best} is right on {} of them and {name_other} on {}: {} are right only in the first, \
         {} only in the second (McNemar, p {}).",
        right(best),
        right(runner_up),
        count(only_best),
        count(only_other),
        equals(Some(test.p_holm))
    ))
}

fn equals(p: Option<f64>) -> String {
    let text = p_value(p);
    if text.starts_with('<') { text } else { format!("= {text}") }
}

/// What the comparison must not be trusted for.
pub(super) fn limits(comparison: &Comparison) -> Vec<Limit> {
    let mut limits = Vec::new();
    if super::is_simulated(comparison) {
        limits.push(Limit::new(
            "Real pictures",
            "the images were simulated, camera and generator both; which detector is better there says nothing about photographs",
        ));
    }
    let mut datasets: Vec<String> = comparison.detectors.iter().map(|entrant| visible(&entrant.dataset)).collect();
    datasets.sort();
    datasets.dedup();
    if datasets.len() > 1 {
        limits.push(Limit::new(
            "The whole of any of these data sets",
            format!(
                "the detectors judged different ones ({}), and only the images in common are compared",
                datasets.join(", ")
            ),
        ));
    }
    for (index, entrant) in comparison.detectors.iter().enumerate() {
        let Some(seen) = entrant.seen.filter(|seen| seen.training + seen.validation > 0) else { continue };
        limits.push(Limit::new(
            format!("How {} does on images it has not seen", name(comparison, index)),
            format!(
                "of the {} that it judged {} were in its training split, and {} in its validation split",
                counted(judged(comparison, index), "image"),
                count(seen.training),
                count(seen.validation)
            ),
        ));
    }
    for (index, entrant) in comparison.detectors.iter().enumerate().filter(|(_, entrant)| entrant.left_out > 0) {
        limits.push(Limit::new(
            format!("The images that only {} judged", name(comparison, index)),
            format!(
                "{} {} left out",
                counted(entrant.left_out, "image"),
                if entrant.left_out == 1 { "was" } else { "were" }
            ),
        ));
    }
    limits.push(Limit::new(
        "Which way of training is better",
        "each detector is one training run; the tests know how far other images would move the scores, and not how far \
         another seed would",
    ));
    limits.push(Limit::new(
        "Other data",
        "the better detector on these images may be the worse on images from elsewhere, and a shortcut in the data helps \
         whichever reads it: see the audit in each run's own report",
    ));
    if comparison.images < FEW_IMAGES {
        limits.push(Limit::new(
            "Small differences",
            format!("{} in common are too few to see them", counted(comparison.images, "image")),
        ));
    }
    limits
}

#[cfg(test)]
mod tests {
    use artifacts::schema::Seen;

    use super::super::page::tests::comparison;
    use super::*;

    #[test]
    fn a_difference_within_chance_decides_nothing() {
        let mut two = comparison();
        let text = sentences(&two).join(" ");
        assert!(text.contains("runs/b tells these 400 images apart better than runs/a"), "{text}");
        assert!(text.contains("a difference of 0.020 (95% interval 0.005 to 0.035; DeLong, p = 0.0080)"), "{text}");
        assert!(text.contains("12 are right only in the first, 4 only in the second"), "{text}");
        two.pairs[0].roc_auc.as_mut().unwrap().p_holm = Some(0.3);
        assert!(sentences(&two)[0].starts_with("These 400 images do not say which of the two is better"));
    }

    #[test]
    fn a_detector_that_was_trained_on_the_images_is_not_called_better() {
        let mut two = comparison();
        two.detectors[1].seen = Some(Seen { training: 41, validation: 5 });
        let text = sentences(&two).join(" ");
        assert!(
            text.starts_with(
                "runs/b is ahead of runs/a on these 400 images, but 41 of the 400 images that it judged were in its \
                 training split, so that this says nothing:"
            ),
            "{text}"
        );
        let limits: Vec<String> = limits(&two).into_iter().map(|limit| limit.why).collect();
        assert!(
            limits.contains(
                &"of the 400 images that it judged 41 were in its training split, and 5 in its validation split"
                    .to_owned()
            ),
            "{limits:?}"
        );
    }

    #[test]
    fn a_few_images_of_its_training_split_do_not_void_a_verdict() {
        let mut two = comparison();
        two.detectors[1].seen = Some(Seen { training: 1, validation: 0 });
        two.detectors[1].left_out = 99_600;
        assert!(sentences(&two)[0].contains("tells these 400 images apart better"), "{:?}", sentences(&two));
        let limits: Vec<String> = limits(&two).into_iter().map(|limit| limit.why).collect();
        assert!(limits.iter().any(|why| why.starts_with("of the 100,000 images that it judged 1")), "{limits:?}");
    }

    #[test]
    fn what_was_left_out_is_said() {
        let mut two = comparison();
        two.detectors[0].left_out = 1;
        two.detectors[1].left_out = 30;
        let limits: Vec<String> = limits(&two).into_iter().map(|limit| limit.why).collect();
        assert!(limits.contains(&"1 image was left out".to_owned()), "{limits:?}");
        assert!(limits.contains(&"30 images were left out".to_owned()), "{limits:?}");
    }
}
