//! Names of the compared detectors.

use artifacts::schema::{Comparison, Pair};

use crate::escape::visible;

/// Returns the name of the detector with this index. Long names are shortened at the start, because the end of a path
/// distinguishes it.
pub(super) fn name(comparison: &Comparison, detector: usize) -> String {
    const MAX_CHARS: usize = 28;
    end_of_name(comparison, detector, MAX_CHARS)
}

/// Returns the end of a detector's name, at most `max_chars` characters.
fn end_of_name(comparison: &Comparison, detector: usize, max_chars: usize) -> String {
    let name = visible(&comparison.detectors[detector].name);
    let length = name.chars().count();
    if length <= max_chars {
        name
    } else {
        std::iter::once('…').chain(name.chars().skip(length - max_chars + 1)).collect()
    }
}

/// Returns the names of all detectors.
pub(super) fn all_names(comparison: &Comparison) -> Vec<String> {
    (0..comparison.detectors.len()).map(|detector| name(comparison, detector)).collect()
}

/// Returns the names of both detectors of a pair, short enough for a row of a chart.
pub(super) fn short_pair_names(comparison: &Comparison, pair: &Pair) -> [String; 2] {
    const MAX_CHARS: usize = 19;
    [pair.first, pair.second].map(|detector| end_of_name(comparison, detector, MAX_CHARS))
}

/// Returns the names of both detectors of a pair.
pub(super) fn pair_names(comparison: &Comparison, pair: &Pair) -> [String; 2] {
    [pair.first, pair.second].map(|detector| name(comparison, detector))
}
