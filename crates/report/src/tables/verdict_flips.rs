//! The table of images whose verdict changes when they are degraded.

use artifacts::schema::Robustness;

use crate::table::Table;

/// Returns a row for each image and degradation that changes its verdict.
pub(crate) fn table(robustness: &Robustness) -> Table {
    let mut table = Table::new(&[
        "path",
        "truth",
        "generator",
        "predicted",
        "p_fake",
        "operation",
        "level",
        "p_fake_changed",
        "id",
    ]);
    for image in &robustness.flips {
        for flip in &image.flips {
            table.push([
                image.path.as_str().into(),
                image.label.into(),
                image.generator.as_str().into(),
                image.predicted.into(),
                image.p_fake.into(),
                flip.operation.as_str().into(),
                flip.level.into(),
                flip.p_fake.into(),
                image.id.into(),
            ]);
        }
    }
    table
}
