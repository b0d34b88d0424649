//! CSV tables that do not belong to a figure. They are written into the folder of the figures.

mod audit;
mod verdict_flips;
mod wrong_predictions;

use crate::run_results::RunResults;
use crate::table::Table;

/// The stem of the file with all wrong predictions.
pub(crate) const WRONG_PREDICTIONS: &str = "errors";

/// Returns the tables with the stems of their file names.
pub(crate) fn all(results: &RunResults) -> Vec<(&'static str, Table)> {
    let mut tables = vec![(WRONG_PREDICTIONS, wrong_predictions::table(&results.evaluation.predictions))];
    if let Some(robustness) = &results.evaluation.robustness {
        tables.push(("flips", verdict_flips::table(robustness)));
    }
    if let Some(audit) = results.audit() {
        tables.push(("audit-bins", audit::bins(&audit.associations)));
        tables.push(("near-duplicates", audit::near_duplicates(audit)));
    }
    tables
}
