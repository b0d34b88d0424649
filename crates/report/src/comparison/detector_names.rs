//! Names of the compared detectors.

use artifacts::schema::{Comparison, Pair};

use crate::escape::visible;

/// Returns the name of the detector with this index. Long names are shortened at the start, because the end of a path
/// distinguishes it.
pub(super) fn name(comparison: &Comparison, detector: usize) -> String {
    const MAX_CHARS: usize = 28;
    let name = visible(&comparison.detectors[detector].name);
    let length = name.chars().count();
    if length <= MAX_CHARS {
        name
    } else {
        std::iter::once('…').chain(name.chars().skip(length - MAX_CHARS + 1)).collect()
    }
}

/// Returns the names of all detectors.
pub(super) fn all_names(comparison: &Comparison) -> Vec<String> {
    (0..comparison.detectors.len()).map(|detector| name(comparison, detector)).collect()
}

/// Returns the names of both detectors of a pair.
pub(super) fn pair_names(comparison: &Comparison, pair: &Pair) -> [String; 2] {
    [pair.first, pair.second].map(|detector| name(comparison, detector))
}
