//! The tables of the data audit: counts per feature, and near-duplicate pairs.

use artifacts::schema::{Association, Audit};

use crate::table::Table;

/// Returns the number of real and fake images for each value of each feature.
pub(crate) fn bins(associations: &[Association]) -> Table {
    let mut table = Table::new(&["feature", "value", "real", "fake"]);
    for feature in associations {
        for bin in &feature.bins {
            table.push([feature.feature.as_str().into(), bin.value.as_str().into(), bin.real.into(), bin.fake.into()]);
        }
    }
    table
}

/// Returns the near-duplicate pairs.
pub(crate) fn near_duplicates(audit: &Audit) -> Table {
    let mut table =
        Table::new(&["first", "first_split", "second", "second_split", "similarity", "mirrored", "labels_differ"]);
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.into();
    for pair in &audit.near_duplicates.pairs {
        let [first, second] = &pair.paths;
        let [first_split, second_split] = pair.splits.map(|split| split.name());
        table.push([
            first.as_str().into(),
            first_split.into(),
            second.as_str().into(),
            second_split.into(),
            f64::from(pair.similarity).into(),
            yes_no(pair.flipped),
            yes_no(pair.labels_differ),
        ]);
    }
    table
}
