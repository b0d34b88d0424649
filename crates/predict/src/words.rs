//! Verdicts in the words of evidence.

use evaluate::calibration::Verdict;

/// Returns the verdict in the words that people read. There is no word for "real": the absence of traces proves nothing.
pub fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fake => "traces of generation",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Real => "no traces found",
    }
}
