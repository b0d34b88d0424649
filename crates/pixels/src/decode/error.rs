//! Why a file could not be decoded.

/// Why a file could not be decoded. The messages are written to stand after a path and a colon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The file holds no bytes.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are those of no image format.
    #[error("the content is not that of an image")]
    NotAnImage,
    /// An image, but of a kind that is not read.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The header announces more pixels than the limit.
    #[error("{width}x{height} is more than the limit of {max_pixels} pixels (raise max_pixels to take it)")]
    #[expect(missing_docs, reason = "the names say it")]
    TooLarge { width: u32, height: u32, max_pixels: u64 },
    /// The header announces a side that no photograph has.
    #[error("{width}x{height}: a side of more than {max_side} pixels is not read")]
    #[expect(missing_docs, reason = "the names say it")]
    TooLong { width: u32, height: u32, max_side: u32 },
    /// The file ends before the image does.
    #[error("truncated: {0}")]
    Truncated(String),
    /// The content contradicts its own format.
    #[error("corrupt: {0}")]
    Corrupt(String),
}

impl DecodeError {
    /// A stable word for the kind of error, to count by: `empty`, `not_an_image`, `unsupported`, `too_large`, `truncated` or `corrupt`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAnImage => "not_an_image",
            Self::Unsupported(_) => "unsupported",
            Self::TooLarge { .. } | Self::TooLong { .. } => "too_large",
            Self::Truncated(_) => "truncated",
            Self::Corrupt(_) => "corrupt",
        }
    }
}
