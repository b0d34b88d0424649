//! Named tensors in a flat buffer in host memory.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

use crate::storage;
use crate::tensor_table::{Entry, TensorTable};

/// A flat buffer of `f32` in host memory, with a name for each part. Clones share the buffer.
#[derive(Clone, Debug)]
pub(crate) struct FlatTensors {
    table: TensorTable,
    tensor: Tensor,
}

impl FlatTensors {
    /// Allocates zeros for the tensors of `table`.
    pub(crate) fn zeros(table: &TensorTable) -> Result<Self> {
        Ok(Self { table: table.clone(), tensor: Tensor::zeros(table.len(), DType::F32, &Device::Cpu)? })
    }

    /// Calls `f` with the whole buffer.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
        storage::read(&self.tensor, f)
    }

    /// Calls `f` with the whole mutable buffer. Views and clones share it.
    pub(crate) fn write<R>(&self, f: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
        storage::write(&self.tensor, f)
    }

    /// Returns the named tensors as views, which share the buffer's memory.
    pub(crate) fn views(&self) -> Result<BTreeMap<String, Tensor>> {
        let view = |(name, shape, entry): &(String, Vec<usize>, Entry)| {
            let part = self.tensor.narrow(0, entry.range().start, entry.range().len())?;
            Ok((name.clone(), part.reshape(shape.as_slice())?))
        };
        self.table.entries().iter().map(view).collect()
    }
}
