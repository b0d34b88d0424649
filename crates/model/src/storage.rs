//! Access to the elements of candle tensors in host memory.

use std::cell::Cell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor};

/// Calls `f` with the elements of a contiguous `f32` tensor in host memory.
pub(crate) fn read<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (guard, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*guard else {
        candle_core::bail!("the tensor is not in host memory");
    };
    Ok(f(slice(storage, layout)?))
}

/// Calls `f` with the mutable elements of a contiguous `f32` tensor in host memory.
pub(crate) fn write<R>(tensor: &Tensor, f: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
    let op = Write { f: Cell::new(Some(f)), result: Cell::new(None) };
    tensor.inplace_op1(&op)?;
    op.result.take().ok_or_else(|| candle_core::Error::msg("the in-place operation did not run"))
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("the tensor is not contiguous"),
    }
}

/// An in-place operation that runs a closure once. candle calls operations through `&self`, so the closure is in a
/// cell.
struct Write<F, R> {
    f: Cell<Option<F>>,
    result: Cell<Option<R>>,
}

impl<F: FnOnce(&mut [f32]) -> R, R> InplaceOp1 for Write<F, R> {
    fn name(&self) -> &'static str {
        "write-flat"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
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
