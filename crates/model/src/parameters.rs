//! Named tensors in one flat buffer: names and shapes as torchvision has them, and the buffer itself.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{Device, Tensor};

use crate::architecture::Plan;
use crate::error::Result;
use crate::storage;

/// Where one tensor lies in a flat buffer, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    start: usize,
    len: usize,
}

impl Entry {
    /// The tensor's elements in the flat buffer.
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// The tensors of a flat buffer, one after the other without gaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    entries: Vec<(String, Vec<usize>, Entry)>,
    len: usize,
}

impl Table {
    /// Appends a tensor and says where it lies.
    pub(crate) fn push(&mut self, name: &str, shape: &[usize]) -> Entry {
        let entry = Entry { start: self.len, len: shape.iter().product() };
        self.len += entry.len;
        self.entries.push((name.to_owned(), shape.to_vec(), entry));
        entry
    }

    /// Elements of the whole buffer.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Name, shape and place of each tensor, in the order of the buffer.
    pub(crate) fn entries(&self) -> &[(String, Vec<usize>, Entry)] {
        &self.entries
    }
}

/// A flat buffer of `f32` in host memory, with names for its parts.
#[derive(Debug)]
pub(crate) struct Flat {
    table: Table,
    tensor: Tensor,
}

impl Flat {
    /// A buffer of zeros for `table`.
    pub(crate) fn zeros(table: &Table) -> Result<Self> {
        // A tensor of its own, so that writing in place is seen by nobody else.
        let tensor = Tensor::zeros(table.len(), candle_core::DType::F32, &Device::Cpu)?;
        Ok(Self { table: table.clone(), tensor })
    }

    /// The parts' names, shapes and places.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Calls `f` with the whole buffer.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
        storage::read(&self.tensor, f)
    }

    /// Calls `f` with the whole buffer, to be changed in place.
    pub(crate) fn write<R>(&mut self, f: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
        storage::write(&self.tensor, f)
    }

    /// Views of the parts under their names and shapes, sharing the buffer's memory.
    pub(crate) fn views(&self) -> Result<BTreeMap<String, Tensor>> {
        let view = |(name, shape, entry): &(String, Vec<usize>, Entry)| {
            let part = self.tensor.narrow(0, entry.start, entry.len)?;
            Ok((name.clone(), part.reshape(shape.as_slice())?))
        };
        self.table.entries.iter().map(view).collect()
    }
}

/// A network's flat buffers in host memory.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// What is trained.
    pub(crate) parameters: Flat,
    /// The gradients of the last step, in the order of the parameters.
    pub(crate) gradients: Flat,
    /// The running statistics.
    pub(crate) statistics: Flat,
}

impl Buffers {
    /// Zeros for the tensors of `plan`.
    pub(crate) fn zeros(plan: &Plan) -> Result<Self> {
        Ok(Self {
            parameters: Flat::zeros(&plan.parameters)?,
            gradients: Flat::zeros(&plan.parameters)?,
            statistics: Flat::zeros(&plan.statistics)?,
        })
    }
}
