//! Reasons why a file is not used.

use pixels::file::ReadError;

/// The reason why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// A stable code, by which rejections are counted: "unreadable", "no_label" …
    pub reason: &'static str,
    /// The explanation for people, with advice if there is any.
    pub detail: String,
}

impl Rejection {
    /// A rejection with a code and an explanation.
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Rejection {
        Rejection { reason, detail: detail.into() }
    }

    /// The file cannot be read.
    pub fn unreadable(error: &dyn std::fmt::Display) -> Rejection {
        Rejection::new("unreadable", error.to_string())
    }

    /// No folder of the path names a class.
    pub(crate) fn no_folder_label() -> Rejection {
        Rejection::new("no_label", "no folder of its path names a class; map one of them in [ingest.labels]")
    }

    /// The label of a table row is missing (`None`), or `cell` does not name a class.
    pub(crate) fn no_cell_label(cell: Option<&str>) -> Rejection {
        let detail = match cell {
            Some(cell) => format!("its label `{cell}` names no class; map it in [ingest.labels] to real or fake"),
            None => "it has no label".to_owned(),
        };
        Rejection::new("no_label", detail)
    }

    /// The folders of a path name both classes.
    pub(crate) fn ambiguous_folders(outer: &str, inner: &str) -> Rejection {
        Rejection::new(
            "ambiguous_label",
            format!("its folders `{outer}` and `{inner}` name different classes; map one of them in [ingest.labels]"),
        )
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
