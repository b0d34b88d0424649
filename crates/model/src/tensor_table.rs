//! The layout of named tensors in one flat buffer. Names and shapes are torchvision's.

use std::ops::Range;

/// The position of one tensor in a flat buffer, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    start: usize,
    len: usize,
}

impl Entry {
    /// Returns the indices of the tensor's elements in the flat buffer.
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// The tensors of a flat buffer, one after the other without gaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct TensorTable {
    entries: Vec<(String, Vec<usize>, Entry)>,
    len: usize,
}

impl TensorTable {
    /// Appends a tensor and returns its position.
    pub(crate) fn push(&mut self, name: &str, shape: &[usize]) -> Entry {
        let entry = Entry { start: self.len, len: shape.iter().product() };
        self.len += entry.len;
        self.entries.push((name.to_owned(), shape.to_vec(), entry));
        entry
    }

    /// Returns the number of elements in the whole buffer.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the name, shape and position of each tensor, in the order of the buffer.
    pub(crate) fn entries(&self) -> &[(String, Vec<usize>, Entry)] {
        &self.entries
    }
}
