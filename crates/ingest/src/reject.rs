//! Why a file is not used.

use artifacts::hash::Hash;
use artifacts::schema::Rejected;
use pixels::DecodeError;
use pixels::file::ReadError;

/// Reason of a file whose bytes another file has too, which is taken in its place.
const DUPLICATE: &str = "duplicate";
/// Reason of a file whose picture is nearly that of another.
const NEAR_DUPLICATE: &str = "near_duplicate";

/// Whether the file itself is at fault. A copy is not: it does not count towards `max_rejected`.
pub(crate) fn is_fault(reason: &str) -> bool {
    reason != DUPLICATE && reason != NEAR_DUPLICATE
}

/// Why one file is not used: a stable word to count by, and the details for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn unreadable(error: &dyn std::fmt::Display) -> Fault {
        Fault { reason: "unreadable", detail: error.to_string() }
    }

    pub(crate) fn no_label() -> Fault {
        Fault {
            reason: "no_label",
            detail: "no folder of its path names a class; map one in [ingest.labels]".to_owned(),
        }
    }

    /// A row of a table whose label is `cell`, which names no class.
    pub(crate) fn unknown_label(cell: Option<&str>) -> Fault {
        let detail = match cell {
            Some(cell) => format!("its label `{cell}` names no class; say which it is in [ingest.labels]"),
            None => "it has no label".to_owned(),
        };
        Fault { reason: "no_label", detail }
    }

    pub(crate) fn both_labels(outer: &str, inner: &str) -> Fault {
        Fault {
            reason: "ambiguous_label",
            detail: format!(
                "its folders `{outer}` and `{inner}` name both classes; say what one of them is in [ingest.labels]"
            ),
        }
    }

    pub(crate) fn duplicate_of(path: &str) -> Fault {
        Fault { reason: DUPLICATE, detail: format!("the same bytes as `{path}`, which is taken in its place") }
    }

    pub(crate) fn near_duplicate() -> Fault {
        let detail = "nearly the same picture as another, which is used, or which has the other label".to_owned();
        Fault { reason: NEAR_DUPLICATE, detail }
    }

    pub(crate) fn conflicts_with(path: &str) -> Fault {
        Fault { reason: "conflicting_labels", detail: format!("the same bytes as `{path}`, which has the other label") }
    }

    pub(crate) fn blank() -> Fault {
        Fault {
            reason: "blank",
            detail: "every pixel has the same colour, as broken downloads and refused generations have".to_owned(),
        }
    }

    pub(crate) fn changed() -> Fault {
        Fault { reason: "changed", detail: "the file changed while it was being ingested".to_owned() }
    }

    /// The row of `rejected.jsonl`.
    pub(crate) fn of(self, path: String, id: Option<Hash>) -> Rejected {
        Rejected { path, reason: self.reason.to_owned(), detail: self.detail, id }
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Fault {
        match error {
            ReadError::TooLong { .. } => {
                Fault { reason: "too_large", detail: format!("{error} (raise max_pixels to take it)") }
            }
            _ => Fault::unreadable(&error),
        }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Fault {
        Fault { reason: error.kind(), detail: error.to_string() }
    }
}
