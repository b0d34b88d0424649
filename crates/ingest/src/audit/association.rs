//! Measures of the association between a feature and the class.

use std::collections::BTreeMap;

use artifacts::schema::{Association, AssociationBin};

use super::features::Feature;

/// Measures the association of a feature with the class. `fake[i]` is whether image `i` is a fake. `roc_auc` is the
/// result of a classifier on this feature alone.
pub(super) fn measure(feature: &Feature, fake: &[bool], roc_auc: Option<f64>) -> Association {
    let mut counts: BTreeMap<u8, [u64; 2]> = BTreeMap::new();
    for (&code, &fake) in feature.codes.iter().zip(fake) {
        counts.entry(code).or_default()[usize::from(fake)] += 1;
    }
    let bin = |(code, [real, fake]): (u8, [u64; 2])| AssociationBin {
        value: feature.bins[usize::from(code)].clone(),
        real,
        fake,
    };
    let bins: Vec<AssociationBin> = counts.into_iter().map(bin).collect();
    Association {
        feature: feature.name.clone(),
        roc_auc,
        cramers_v: cramers_v(&bins),
        mutual_information: mutual_information(&bins),
        bins,
    }
}

/// Describes the two bins whose number of fakes differs most from the number expected by chance.
pub(super) fn describe(bins: &[AssociationBin]) -> String {
    let (real, fake) = totals(bins);
    let surplus = |bin: &AssociationBin| (bin.fake as f64 - bin.total() as f64 * fake / (real + fake)).abs();
    let mut bins: Vec<&AssociationBin> = bins.iter().collect();
    bins.sort_by(|a, b| surplus(b).total_cmp(&surplus(a)));
    let words =
        |bin: &&AssociationBin| format!("{} of {} files with value \"{}\" are fake", bin.fake, bin.total(), bin.value);
    bins.iter().take(2).map(words).collect::<Vec<_>>().join(", ")
}

fn totals(bins: &[AssociationBin]) -> (f64, f64) {
    let sum = |of: fn(&AssociationBin) -> u64| bins.iter().map(of).sum::<u64>() as f64;
    (sum(|bin| bin.real), sum(|bin| bin.fake))
}

/// Returns the observed count of each cell of the contingency table, and the count that is expected if feature and
/// class are independent.
fn cells(bins: &[AssociationBin]) -> impl Iterator<Item = (f64, f64)> {
    let (real, fake) = totals(bins);
    bins.iter().flat_map(move |bin| {
        let share = bin.total() as f64 / (real + fake);
        [(bin.real as f64, share * real), (bin.fake as f64, share * fake)]
    })
}

/// Returns Cramér's V (H. Cramér, "Mathematical methods of statistics", 1946, section 21.9). With two classes, it is
/// the square root of chi^2 / n.
fn cramers_v(bins: &[AssociationBin]) -> f64 {
    let (real, fake) = totals(bins);
    let chi_square: f64 = cells(bins)
        .filter(|(_, expected)| *expected > 0.0)
        .map(|(count, expected)| (count - expected).powi(2) / expected)
        .sum();
    if real + fake == 0.0 { 0.0 } else { (chi_square / (real + fake)).sqrt() }
}

/// Returns the mutual information of feature and class, in bits.
fn mutual_information(bins: &[AssociationBin]) -> f64 {
    let (real, fake) = totals(bins);
    let sum: f64 = cells(bins)
        .filter(|(count, _)| *count > 0.0)
        .map(|(count, expected)| count / (real + fake) * (count / expected).log2())
        .sum();
    // Rounding errors can make the sum negative.
    sum.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn association(bins: &[(&str, u64, u64)]) -> Association {
        let mut feature = Feature { name: "test".to_owned(), advice: "", codes: vec![], bins: vec![] };
        let mut classes = Vec::new();
        for (code, &(name, real, fake)) in (0..).zip(bins) {
            feature.bins.push(name.to_owned());
            for class in [false, true] {
                let count = if class { fake } else { real };
                feature.codes.extend(std::iter::repeat_n(code, count as usize));
                classes.extend(std::iter::repeat_n(class, count as usize));
            }
        }
        measure(&feature, &classes, None)
    }

    #[test]
    fn is_one_for_a_determining_feature_and_zero_for_an_independent_one() {
        let determining = association(&[("jpeg", 50, 0), ("png", 0, 50)]);
        assert!((determining.cramers_v - 1.0).abs() < 1e-12);
        assert!((determining.mutual_information - 1.0).abs() < 1e-12);
        let independent = association(&[("jpeg", 30, 60), ("png", 10, 20)]);
        assert!(independent.cramers_v < 1e-9 && independent.mutual_information < 1e-9);
    }

    #[test]
    fn agrees_with_a_worked_example() {
        // chi^2 = 100 * (40*30 - 10*20)^2 / (60*40*50*50) = 16.6667; V = 0.408248.
        let table = association(&[("a", 40, 20), ("b", 10, 30)]);
        assert!((table.cramers_v - 0.408_248_290_463_863).abs() < 1e-12);
        // H(class) - H(class | feature) = 1 - (0.6 * 0.918296 + 0.4 * 0.811278).
        assert!((table.mutual_information - 0.124_511_25).abs() < 1e-6);
        assert_eq!(
            describe(&table.bins),
            r#"20 of 60 files with value "a" are fake, 30 of 40 files with value "b" are fake"#
        );
    }
}
