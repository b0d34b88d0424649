//! Reasons why the scores of a run say little: too few images of a class, classes of very different size, a model that
//! always names one class, a ROC-AUC that chance may explain, and fakes that no generator made.

use crate::schema::{Confusion, Metrics};
use crate::text::count;
use crate::{Label, Split, names};

/// With fewer images of a class than this, the interval of its error rate is wider than about ±14 percentage points.
const FEW_OF_CLASS: u64 = 50;
/// The smallest share of the larger class at which accuracy is compared with always naming that class.
const LOPSIDED: f64 = 0.6;

/// Returns sentences that a reader should know before the scores of a run.
pub fn concerns(metrics: &Metrics) -> Vec<String> {
    let interval = metrics.intervals.get("roc_auc").map(|interval| [interval.low, interval.high]);
    let generators = metrics.runs.first().map(|run| run.generators.groups.iter().map(|group| group.name.as_str()));
    let mut concerns = concerns_of(metrics.split, metrics.headline.confusion, interval);
    concerns.extend(generators.and_then(|names| of_reconstructions(metrics.split, names)));
    concerns
}

/// Returns the concern about a split whose fakes are all reconstructions of photographs.
fn of_reconstructions<'a>(split: Split, mut generators: impl Iterator<Item = &'a str>) -> Option<String> {
    let first = generators.next()?;
    let only = first.starts_with(names::RECONSTRUCTED) && generators.all(|name| name.starts_with(names::RECONSTRUCTED));
    only.then(|| {
        format!(
            "The fakes of the {split} split are reconstructions of its photographs, so the scores say nothing about images \
             of generators."
        )
    })
}

fn concerns_of(split: Split, confusion: Confusion, roc_auc: Option<[f64; 2]>) -> Vec<String> {
    let Confusion { true_negative, false_positive, false_negative, true_positive } = confusion;
    let [reals, fakes] = [true_negative + false_positive, false_negative + true_positive];
    let mut concerns = Vec::new();
    let few: Vec<String> = [(Label::Real, reals), (Label::Fake, fakes)]
        .into_iter()
        .filter(|&(_, images)| (1..FEW_OF_CLASS).contains(&images))
        .map(|(label, images)| format!("{} {label}", count(images)))
        .collect();
    if !few.is_empty() {
        concerns.push(format!(
            "Too few images to judge the model: the {split} split has {} images. Scores need at least {FEW_OF_CLASS} of each \
             class.",
            few.join(" and ")
        ));
    }
    if reals == 0 || fakes == 0 {
        // The scores say that there is only one class.
        return concerns;
    }
    let share = reals.max(fakes) as f64 / (reals + fakes) as f64;
    if share >= LOPSIDED {
        let (larger, smaller, found, of) = if reals > fakes {
            (Label::Real, Label::Fake, true_positive, fakes)
        } else {
            (Label::Fake, Label::Real, true_negative, reals)
        };
        concerns.push(format!(
            "Always answering “{larger}” would be right for {} of these images, so accuracy says little: at the threshold of \
             0.5, the model recognises {} of the {} {smaller} images.",
            percent(share),
            count(found),
            count(of)
        ));
    }
    let called_real = true_negative + false_negative;
    if called_real == 0 || called_real == reals + fakes {
        let class = if called_real == 0 { Label::Fake } else { Label::Real };
        concerns.push(format!("At the threshold of 0.5, the model calls every image {class}."));
    }
    if roc_auc.is_some_and(|[low, high]| low <= 0.5 && 0.5 <= high) {
        concerns.push(
            "The interval of ROC-AUC includes 0.5, so the model may not tell the classes apart at all.".to_owned(),
        );
    }
    concerns
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(true_negative: u64, false_positive: u64, false_negative: u64, true_positive: u64) -> Confusion {
        Confusion { true_negative, false_positive, false_negative, true_positive }
    }

    #[test]
    fn names_few_images_lopsided_classes_and_chance() {
        let found = concerns_of(Split::Test, confusion(200, 0, 20, 0), Some([0.4, 0.7]));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].contains("the test split has 20 fake images"), "{}", found[0]);
        assert!(found[1].contains("Always answering “real” would be right for 90.9%"), "{}", found[1]);
        assert!(found[1].contains("recognises 0 of the 20 fake images"), "{}", found[1]);
        assert!(found[2].contains("calls every image real"), "{}", found[2]);
        assert!(found[3].contains("includes 0.5"), "{}", found[3]);
    }

    #[test]
    fn has_nothing_to_say_about_enough_balanced_images() {
        assert_eq!(concerns_of(Split::Test, confusion(90, 10, 10, 90), Some([0.8, 0.95])), [] as [String; 0]);
        assert_eq!(concerns_of(Split::Test, confusion(90, 10, 0, 0), None), [] as [String; 0]);
    }

    #[test]
    fn names_both_classes_of_a_tiny_split() {
        let found = concerns_of(Split::Val, confusion(5, 0, 0, 5), None);
        assert!(found[0].contains("the val split has 5 real and 5 fake images"), "{}", found[0]);
    }

    #[test]
    fn names_few_images_of_the_only_class() {
        let found = concerns_of(Split::Test, confusion(0, 0, 2, 1), None);
        assert!(found.len() == 1 && found[0].contains("the test split has 3 fake images"), "{found:?}");
    }

    #[test]
    fn names_fakes_that_are_all_reconstructions() {
        let found = |names: &[&str]| of_reconstructions(Split::Test, names.iter().copied());
        assert!(found(&["reconstructed-nearest", "reconstructed-bilinear"]).unwrap().contains("the test split"));
        assert_eq!(found(&["reconstructed-nearest", "sdxl"]), None);
        assert_eq!(found(&[]), None);
    }
}
