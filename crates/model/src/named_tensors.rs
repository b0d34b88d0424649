//! Tensors by name, as checkpoints have them.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};

use crate::tensor_table::TensorTable;

/// Returns the tensor called `name`. The error says that it is missing.
pub(crate) fn find<'a>(tensors: &'a BTreeMap<String, Tensor>, name: &str) -> Result<&'a Tensor, String> {
    tensors.get(name).ok_or_else(|| format!("{name} is missing"))
}

/// Concatenates the tensors whose names start with `prefix`, in the order of `table`. The error names a tensor that is
/// missing or has another shape or type.
pub(crate) fn flatten(
    tensors: &BTreeMap<String, Tensor>,
    prefix: &str,
    table: &TensorTable,
) -> Result<Vec<f32>, String> {
    let mut values = Vec::with_capacity(table.len());
    for (name, shape, _) in table.entries() {
        let name = format!("{prefix}{name}");
        let tensor = find(tensors, &name)?;
        if tensor.dims() != shape.as_slice() || tensor.dtype() != DType::F32 {
            let (dtype, dims) = (tensor.dtype(), tensor.dims());
            return Err(format!("{name} is {dtype:?} {dims:?} instead of F32 {shape:?}"));
        }
        let of_tensor = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        values.extend(of_tensor.map_err(|error| format!("{name} cannot be read: {error}"))?);
    }
    Ok(values)
}
