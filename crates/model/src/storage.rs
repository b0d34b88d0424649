//! Raw slices of candle tensors: the one place that reaches into candle's host storage.

use std::cell::Cell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor};

use crate::error::Result;

/// Calls `f` with the elements of a contiguous `f32` tensor in host memory.
pub(crate) fn read<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (guard, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*guard else {
        return Err(candle_core::Error::msg("the tensor is not in host memory").into());
    };
    Ok(f(slice(storage, layout)?))
}

/// Calls `f` with the elements of a contiguous `f32` tensor in host memory, to be changed in place.
pub(crate) fn write<R>(tensor: &Tensor, f: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
    let op = Write { f: Cell::new(Some(f)), result: Cell::new(None) };
    tensor.inplace_op1(&op)?;
    op.result.take().ok_or_else(|| candle_core::Error::msg("the in-place operation did not run").into())
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("the tensor is not contiguous"),
    }
}

/// candle's in-place operations take `&self`, so the closure waits in a cell until it is called, once.
struct Write<F, R> {
    f: Cell<Option<F>>,
    result: Cell<Option<R>>,
}

impl<F: FnOnce(&mut [f32]) -> R, R> InplaceOp1 for Write<F, R> {
    fn name(&self) -> &'static str {
        "write-flat"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("the tensor is not contiguous");
        };
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("the tensor is not f32");
        };
        self.result.set(self.f.take().map(|f| f(&mut values[start..end])));
        Ok(())
    }
}
