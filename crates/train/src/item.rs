//! One image of a batch.

/// One image of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The index of the image in the split.
    pub(crate) row: usize,
    /// The number of the view, for features. 0 is the image as it is.
    pub(crate) view: usize,
    /// The number of times that the image occurs before in the epoch, with [`crate::balance::ClassBalance::Sampling`].
    pub(crate) repeat: usize,
}
