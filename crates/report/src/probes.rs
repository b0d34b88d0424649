//! The audit's probes: small classifiers whose inputs contain no traces of generation.

use artifacts::schema::{Audit, Probe};

/// A probe with its description.
pub(crate) struct DescribedProbe<'a> {
    /// The probe's name in the audit's list of shortcuts.
    pub(crate) key: &'static str,
    /// The input in a few words.
    pub(crate) name: &'static str,
    /// The input in detail.
    pub(crate) input: &'static str,
    /// The result.
    pub(crate) result: &'a Probe,
}

/// Returns the probes of an audit.
pub(crate) fn probes(audit: &Audit) -> [DescribedProbe<'_>; 3] {
    [
        DescribedProbe {
            key: "metadata",
            name: "file properties",
            input: "format, size, compression, EXIF: everything except the pixels",
            result: &audit.probes.metadata,
        },
        DescribedProbe {
            key: "colour histogram",
            name: "colours",
            input: "the frequency of each of 64 colours, without positions",
            result: &audit.probes.colour_histogram,
        },
        DescribedProbe {
            key: "thumbnail",
            name: "8 × 8 pixels",
            input: "a thumbnail too small to contain traces of generation",
            result: &audit.probes.thumbnail,
        },
    ]
}
