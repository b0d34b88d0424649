//! Table cells of scores with their confidence intervals.

use std::collections::BTreeMap;

use artifacts::schema::{Interval, Metric, Scores};
use maud::{Markup, html};

use super::table::Column;
use crate::format_number::{ends, score};

/// Returns `first` followed by a column for each headline metric.
pub(crate) fn with_headline_columns<'a>(first: &[Column<'a>]) -> Vec<Column<'a>> {
    first.iter().copied().chain(Metric::headline().map(Column::Metric)).collect()
}

/// Renders a cell for each headline metric.
pub(crate) fn headline_cells(scores: &Scores, intervals: &BTreeMap<String, Interval>) -> Markup {
    html! {
        @for metric in Metric::headline() { (score_cell(metric.informative_value(scores), intervals.get(metric.key))) }
    }
}

/// Renders a score with its interval.
pub(crate) fn score_cell(value: Option<f64>, interval: Option<&Interval>) -> Markup {
    html! {
        td.number {
            (score(value))
            span.interval {
                @match interval.map(ends) {
                    Some(Some([low, high])) => { "[" (low) ", " (high) "]" },
                    Some(None) => { "the same in every resample" },
                    None => {},
                }
            }
        }
    }
}
