//! The trained head of a frozen branch.

use candle_core::{Device, Tensor, Var};

use crate::batch::BranchFeatures;
use crate::config::BranchName;
use crate::error::{Error, Result};
use crate::head_tensors::HeadTensors;
use crate::projection::Projection;

/// One branch's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) name: BranchName,
    /// Whether the branch takes part in the fused margin.
    pub(crate) fused: bool,
    pub(crate) projection: Projection,
    /// `[outputs of a part, 1]`.
    pub(crate) weight: Var,
    /// `[1]`.
    pub(crate) bias: Var,
    /// The branch's weight in the fusion.
    pub(crate) share: f64,
}

impl Head {
    /// The margin of each part, `[n, parts]`. `factors` multiplies the features.
    pub(crate) fn margins(&self, features: &BranchFeatures, factors: Option<&Vec<f32>>) -> Result<Tensor> {
        let (n, parts, width) = (features.len(), self.projection.parts(), self.projection.outputs_of_part());
        if features.width != parts * width {
            let (found, wanted) = (features.width, parts * width);
            let detail = format!("the branch `{}` has {found} projected features instead of {wanted}", self.name);
            return Err(Error::Features(detail));
        }
        let mut values = Tensor::from_slice(&features.values, (n * parts, width), &Device::Cpu)?;
        if let Some(factors) = factors {
            values = values.broadcast_mul(&Tensor::new(factors.as_slice(), &Device::Cpu)?)?;
        }
        Ok(values.matmul(&self.weight)?.broadcast_add(&self.bias)?.reshape((n, parts))?)
    }

    /// The projection and the head in a form for other programs.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub(crate) fn tensors(&self) -> Result<HeadTensors> {
        self.projection.with_head(self.weight.flatten_all()?.to_vec1()?, self.bias.get(0)?.to_scalar()?)
    }
}
