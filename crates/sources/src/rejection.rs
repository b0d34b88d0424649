//! Reasons why a file is not used.

use std::borrow::Cow;

use pixels::file::ReadError;
use serde::{Deserialize, Serialize};

/// The code of files without a known label.
pub const NO_LABEL: &str = "no_label";

/// The reason why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// A stable code, by which rejections are counted: "unreadable", "no_label" …
    pub reason: Cow<'static, str>,
    /// The explanation for people, with advice if there is any.
    pub detail: String,
}

impl Rejection {
    /// A rejection with a code and an explanation.
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Rejection {
        Rejection { reason: Cow::Borrowed(reason), detail: detail.into() }
    }

    /// The file cannot be read.
    pub fn unreadable(error: &dyn std::fmt::Display) -> Rejection {
        Rejection::new("unreadable", error.to_string())
    }

    /// No folder of the path names a class.
    pub(crate) fn no_folder_label() -> Rejection {
        let advice = "map one of them with --set ingest.labels.NAME=real or --set ingest.labels.NAME=fake";
        Rejection::new(NO_LABEL, format!("no folder of its path names a class; {advice}"))
    }

    /// The label of a table row is missing (`None`), or `cell` does not name a class.
    pub(crate) fn no_cell_label(cell: Option<&str>) -> Rejection {
        let detail = match cell {
            Some(cell) => format!("its label `{cell}` names no class; {}", label_advice(cell)),
            None => "it has no label".to_owned(),
        };
        Rejection::new(NO_LABEL, detail)
    }

    /// The folders of a path name both classes.
    pub(crate) fn ambiguous_folders(outer: &str, inner: &str) -> Rejection {
        Rejection::new(
            "ambiguous_label",
            format!("its folders `{outer}` and `{inner}` name different classes; {}", label_advice(inner)),
        )
    }
}

/// Says how to give a label to a name that is unknown.
pub(crate) fn label_advice(name: &str) -> String {
    let is_bare_key = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare_key {
        format!("map it with --set ingest.labels.{name}=real or --set ingest.labels.{name}=fake")
    } else {
        "map it in [ingest.labels] of the pipeline file to real or fake".to_owned()
    }
}

impl From<ReadError> for Rejection {
    fn from(error: ReadError) -> Rejection {
        match error {
            ReadError::TooLong { .. } => {
                Rejection::new("too_large", format!("{error}; raise ingest.max_pixels to accept it"))
            }
            _ => Rejection::unreadable(&error),
        }
    }
}
