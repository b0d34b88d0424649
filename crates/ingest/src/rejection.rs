//! Reasons why ingest rejects a file, in addition to the reasons of `sources`.

use artifacts::hash::Hash;
use artifacts::schema::Rejected;
use pixels::{DecodeError, RecipeError};
use sources::Rejection;

/// The reason code of a file that has the same bytes as a used one.
const DUPLICATE: &str = "duplicate";
/// The reason code of a near-duplicate.
const NEAR_DUPLICATE: &str = "near_duplicate";

/// Whether a reason code means that the file is unusable. Duplicates are usable: they do not count towards
/// `max_rejected`.
pub(crate) fn is_unusable(reason: &str) -> bool {
    reason != DUPLICATE && reason != NEAR_DUPLICATE
}

/// The file has the same bytes as `path`.
pub(crate) fn duplicate_of(path: &str) -> Rejection {
    Rejection::new(DUPLICATE, format!("it has the same bytes as `{path}`, which is used instead"))
}

/// The image is a near-duplicate of another one.
pub(crate) fn near_duplicate() -> Rejection {
    Rejection::new(NEAR_DUPLICATE, "it is nearly the same as another image, which is used or has the other label")
}

/// The file has the same bytes as `path`, but the other label.
pub(crate) fn conflicts_with(path: &str) -> Rejection {
    Rejection::new("conflicting_labels", format!("it has the same bytes as `{path}`, which has the other label"))
}

/// The file has changed since it was hashed.
pub(crate) fn changed() -> Rejection {
    Rejection::new("changed", "the file changed during ingest; run ingest again")
}

/// The file cannot be decoded, or its image is unusable.
pub(crate) fn undecodable(error: &RecipeError) -> Rejection {
    let advice = match error {
        RecipeError::Decode(DecodeError::TooLarge { .. }) => "; raise ingest.max_pixels to accept it",
        _ => "",
    };
    Rejection::new(error.kind(), format!("{error}{advice}"))
}

/// Makes the row of `rejected.jsonl`.
pub(crate) fn row(rejection: Rejection, path: String, id: Option<Hash>) -> Rejected {
    Rejected { path, reason: rejection.reason.into_owned(), detail: rejection.detail, id }
}
