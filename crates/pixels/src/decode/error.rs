//! Errors of decoding.

/// The reason why a file cannot be decoded. The messages are made to follow a path and a colon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are not those of an image format.
    #[error("it is not an image")]
    NotAnImage,
    /// The first bytes are those of another kind of file.
    #[error("it is {name}, not an image; {advice}")]
    OtherContent {
        /// The name of the kind, with its article.
        name: &'static str,
        /// What to do with the file.
        advice: &'static str,
    },
    /// The format or its variant is unsupported.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The image has more pixels than the limit, according to its header.
    #[error("its size {width}x{height} exceeds the limit of {max_pixels} pixels")]
    #[expect(missing_docs, reason = "the names are the documentation")]
    TooLarge { width: u32, height: u32, max_pixels: u64 },
    /// The image has a side that is too long, according to its header.
    #[error("its size is {width}x{height}, but sides may have at most {max_side} pixels")]
    #[expect(missing_docs, reason = "the names are the documentation")]
    TooLong { width: u32, height: u32, max_side: u32 },
    /// The file ends before the image is complete.
    #[error("truncated: {0}")]
    Truncated(String),
    /// The content violates the format.
    #[error("corrupt: {0}")]
    Corrupt(String),
}

impl DecodeError {
    /// Returns a stable code for the kind of error, by which errors are counted: `empty`, `not_an_image`,
    /// `unsupported`, `too_large`, `truncated` or `corrupt`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAnImage | Self::OtherContent { .. } => "not_an_image",
            Self::Unsupported(_) => "unsupported",
            Self::TooLarge { .. } | Self::TooLong { .. } => "too_large",
            Self::Truncated(_) => "truncated",
            Self::Corrupt(_) => "corrupt",
        }
    }
}
