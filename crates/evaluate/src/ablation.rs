//! The ablation of a detector of branches: each branch alone, all but one, and all of them.
//!
//! The fused margin is a weighted mean of the branches' margins, so that the margin of any subset follows from the
//! branches' margins without another training.

use artifacts::schema::AblationRow;
use artifacts::{Label, roc_auc};
use branches::{FusionWeight, weighted_mean};

use crate::metrics::Error;
use crate::significance::{delong, delong_interval};

/// Computes the ROC-AUC of subsets of the branches, and compares it with that of all branches by DeLong's test.
/// `weights` has one entry for each branch; `margins` one row for each image, in the order of `labels`.
///
/// # Errors
/// A margin that is not finite.
pub(crate) fn ablation(
    weights: &[FusionWeight],
    labels: &[Label],
    margins: &[&[Option<f32>]],
) -> Result<Vec<AblationRow>, Error> {
    let fused: Vec<usize> = (0..weights.len()).filter(|&branch| weights[branch].fused).collect();
    let mut subsets: Vec<Vec<usize>> = (0..weights.len()).map(|branch| vec![branch]).collect();
    if fused.len() > 2 {
        let all_but = |left_out: &usize| fused.iter().copied().filter(|branch| branch != left_out).collect();
        subsets.extend(fused.iter().map(all_but));
    }
    if fused.len() > 1 {
        subsets.push(fused.clone());
    }
    // Metadata, unless they take part: the scores with and without them.
    let others = (0..weights.len()).filter(|&branch| !weights[branch].fused && !fused.is_empty());
    subsets.extend(others.map(|branch| fused.iter().copied().chain([branch]).collect()));
    let all = subset_margins(weights, &fused, margins);
    let row = |subset: &Vec<usize>| {
        let own = subset_margins(weights, subset, margins);
        let mut scored: Vec<(f64, bool)> =
            own.iter().zip(labels).map(|(&margin, &label)| (margin, label == Label::Fake)).collect();
        let test = delong(labels, &own, &all)?.filter(|_| *subset != fused);
        Ok(AblationRow {
            branches: subset.iter().map(|&branch| weights[branch].branch.name().to_owned()).collect(),
            images: margins.iter().filter(|row| subset.iter().any(|&branch| row[branch].is_some())).count() as u64,
            roc_auc: roc_auc(&mut scored),
            interval: delong_interval(labels, &own)?,
            difference: test.map(|test| test.difference),
            difference_interval: test.map(|test| test.interval),
            p: test.and_then(|test| test.p),
        })
    };
    subsets.iter().map(row).collect()
}

/// The margins of a subset of the branches. An image that none of them has features of has margin 0.
fn subset_margins(weights: &[FusionWeight], subset: &[usize], margins: &[&[Option<f32>]]) -> Vec<f64> {
    let margin =
        |row: &&[Option<f32>]| weighted_mean(subset.iter().map(|&branch| (weights[branch].weight, row[branch])));
    margins.iter().map(margin).collect()
}

#[cfg(test)]
mod tests {
    use branches::BranchName::{Frequency, Metadata, Vit};

    use super::*;

    #[test]
    fn compares_each_branch_with_all() {
        let weight = |branch, fused| FusionWeight { branch, weight: 1.0, fused };
        let weights = [weight(Vit, true), weight(Frequency, true), weight(Metadata, false)];
        let labels: Vec<Label> = (0..40).map(|i| Label::ALL[i % 2]).collect();
        let rows: Vec<[Option<f32>; 3]> = (0..40)
            .map(|i| {
                let sign = if i % 2 == 1 { 1.0 } else { -1.0 };
                let noise = ((i * 7) % 11) as f32 / 5.0 - 1.0;
                [Some(sign + noise), (i % 5 != 0).then_some(noise), Some(sign)]
            })
            .collect();
        let margins: Vec<&[Option<f32>]> = rows.iter().map(<[_; 3]>::as_slice).collect();
        let table = ablation(&weights, &labels, &margins).unwrap();
        let names: Vec<String> = table.iter().map(|row| row.branches.join("+")).collect();
        assert_eq!(names, ["vit", "frequency", "metadata", "vit+frequency", "vit+frequency+metadata"]);
        assert_eq!((table[1].images, table[0].images), (32, 40));
        assert_eq!(table[2].roc_auc, Some(1.0));
        assert!(table[0].roc_auc > table[1].roc_auc && table[1].p.unwrap() < 0.05);
        assert_eq!((table[3].difference, table[3].p), (None, None));
        assert!(table[4].difference.unwrap() > 0.0 && table[4].roc_auc > table[3].roc_auc);
    }
}
