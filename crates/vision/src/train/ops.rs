//! The layers of a transformer as operations of candle's autograd, on the kernels of this workspace.
//!
//! candle-nn 0.11.1's own layer norm has no backward pass, and candle's matrix products compute gradients of frozen
//! weights as well. Tensors are f32 on the CPU.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Device, Layout, Result, Shape, Storage, Tensor, bail};
use kernels::cpu::{
    Activation, Attention, Isa, LayerNorm, Linear, LinearEpilogue, activate, activate_backward, layer_norm,
    layer_norm_backward, linear_weight_gradient,
};

use crate::config;

/// Returns the elements of a contiguous operand.
fn elements<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("the operand is not contiguous"),
    }
}

/// Calls `f` with the elements of a tensor.
pub(crate) fn with_elements<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(elements(storage, layout)?),
        _ => bail!("vision transformers are trained on the CPU only"),
    }
}

fn failed(error: kernels::Error) -> candle_core::Error {
    candle_core::Error::wrap(error)
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// Layer normalisation over the last dimension.
struct LayerNormOp {
    epsilon: f32,
    isa: Isa,
}

impl CustomOp3 for LayerNormOp {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = elements(x, x_layout)?;
        let (weight, bias) = (elements(weight, weight_layout)?, elements(bias, bias_layout)?);
        let mut to = vec![0.0; x.len()];
        layer_norm(LayerNorm { weight, bias, epsilon: self.epsilon }, x, &mut to, self.isa);
        Ok((CpuStorage::F32(to), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut to = vec![0.0; x.elem_count()];
        let (of_weight, of_bias) = with_elements(x, |x| {
            with_elements(weight, |weight| {
                with_elements(gradient, |gradient| {
                    let norm = LayerNorm { weight, bias: &[], epsilon: self.epsilon };
                    Ok(layer_norm_backward(norm, x, gradient, &mut to, self.isa))
                })
            })
        })?;
        let channels = of_weight.len();
        Ok((
            x.track_op().then(|| tensor(to, x.shape())).transpose()?,
            weight.track_op().then(|| tensor(of_weight, channels)).transpose()?,
            bias.track_op().then(|| tensor(of_bias, channels)).transpose()?,
        ))
    }
}

/// Normalises the last dimension of `x` as PyTorch's `LayerNorm`, with gradients of all three tensors.
///
/// # Errors
/// The shapes do not fit, or the tensors are not f32 on the CPU.
pub fn layer_norm_with_gradient(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Result<Tensor> {
    let channels = x.dims().last().copied().unwrap_or(0);
    if channels == 0 || weight.dims() != [channels] || bias.dims() != [channels] {
        bail!("a layer norm of {:?} with a weight {:?} and a bias {:?}", x.dims(), weight.dims(), bias.dims())
    }
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, LayerNormOp { epsilon, isa: Isa::detect() })
}

/// An activation function.
struct ActivationOp {
    activation: Activation,
    isa: Isa,
}

impl CustomOp1 for ActivationOp {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = elements(x, layout)?;
        let mut to = vec![0.0; x.len()];
        activate(self.activation, x, &mut to, self.isa);
        Ok((CpuStorage::F32(to), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let mut to = vec![0.0; x.elem_count()];
        with_elements(x, |x| {
            with_elements(gradient, |gradient| {
                activate_backward(self.activation, x, gradient, &mut to, self.isa);
                Ok(())
            })
        })?;
        Ok(Some(tensor(to, x.shape())?))
    }
}

/// Applies an activation function, with its gradient.
///
/// # Errors
/// The tensor is not f32 on the CPU.
pub fn activate_with_gradient(x: &Tensor, activation: config::Activation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(ActivationOp { activation: activation.into(), isa: Isa::detect() })
}

/// Multi-head self-attention of `[images * tokens, 3 * heads * width]`.
struct AttentionOp {
    attention: Attention,
    isa: Isa,
}

impl CustomOp1 for AttentionOp {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let qkv = elements(qkv, layout)?;
        let mut to = vec![0.0; qkv.len() / 3];
        self.attention.run(qkv, &mut vec![0.0; self.attention.scratch_len(self.isa)], &mut to, self.isa);
        let Attention { images, tokens, heads, width } = self.attention;
        Ok((CpuStorage::F32(to), (images * tokens, heads * width).into()))
    }

    fn bwd(&self, qkv: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let mut to = vec![0.0; qkv.elem_count()];
        with_elements(qkv, |qkv| {
            with_elements(gradient, |gradient| {
                self.attention.backward(qkv, gradient, &mut to, self.isa);
                Ok(())
            })
        })?;
        Ok(Some(tensor(to, qkv.shape())?))
    }
}

/// Computes multi-head self-attention, `[images * tokens, heads * width]`, of queries, keys and values,
/// `[images * tokens, 3 * heads * width]`, with its gradient.
///
/// # Errors
/// The shape does not fit, or the tensor is not f32 on the CPU.
pub fn attention_with_gradient(qkv: &Tensor, [images, tokens, heads, width]: [usize; 4]) -> Result<Tensor> {
    if qkv.dims() != [images * tokens, 3 * heads * width] || qkv.elem_count() == 0 || width > 256 {
        bail!("an attention of {:?} with {images} images, {tokens} tokens and {heads} heads of {width}", qkv.dims())
    }
    let attention = Attention { images, tokens, heads, width };
    qkv.contiguous()?.apply_op1(AttentionOp { attention, isa: Isa::detect() })
}

/// A linear layer whose weights are trained: `x`, `[rows, inputs]`; weight, `[outputs, inputs]`; bias, `[outputs]`.
struct LinearOp {
    isa: Isa,
}

impl CustomOp3 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        let rows = x_layout.shape().dims2()?.0;
        let (weight, bias) = (elements(weight, weight_layout)?, elements(bias, bias_layout)?);
        let linear = Linear::new(weight, bias, [outputs, inputs], self.isa).map_err(failed)?;
        let mut to = vec![0.0; rows * outputs];
        linear.run(elements(x, x_layout)?, &mut to, LinearEpilogue::default());
        Ok((CpuStorage::F32(to), (rows, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let shape: [usize; 2] = weight.dims2()?.into();
        let [outputs, inputs] = shape;
        let of_x = x.track_op().then(|| {
            let transposed =
                with_elements(weight, |weight| Linear::transposed(weight, shape, self.isa).map_err(failed))?;
            input_gradient(&transposed, gradient)
        });
        let of_weight = weight.track_op().then(|| {
            let mut to = vec![0.0; outputs * inputs];
            with_elements(x, |x| {
                with_elements(gradient, |gradient| {
                    linear_weight_gradient(x, gradient, shape, &mut to, self.isa).map_err(failed)
                })
            })?;
            tensor(to, (outputs, inputs))
        });
        let of_bias = bias.track_op().then(|| gradient.sum(0));
        Ok((of_x.transpose()?, of_weight.transpose()?, of_bias.transpose()?))
    }
}

/// Computes the gradient of a linear layer's input with the packed transpose of its weight.
fn input_gradient(transposed: &Linear, gradient: &Tensor) -> Result<Tensor> {
    let rows = gradient.dims2()?.0;
    let mut to = vec![0.0; rows * transposed.outputs()];
    with_elements(gradient, |gradient| {
        transposed.run(gradient, &mut to, LinearEpilogue::default());
        Ok(())
    })?;
    tensor(to, (rows, transposed.outputs()))
}

/// Computes `x weightᵀ + bias` for `x`, `[rows, inputs]`, with gradients of those tensors that need one. Without a bias,
/// it is zero.
///
/// # Errors
/// The shapes do not fit, or the tensors are not f32 on the CPU.
pub fn linear_with_gradient(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    if x.dims2()?.1 != inputs || x.elem_count() == 0 || bias.is_some_and(|bias| bias.dims() != [outputs]) {
        bail!("a linear layer {:?} of {:?} with the bias {:?}", weight.dims(), x.dims(), bias.map(Tensor::dims))
    }
    let bias = match bias {
        Some(bias) => bias.contiguous()?,
        None => Tensor::zeros(outputs, DType::F32, &Device::Cpu)?,
    };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias, LinearOp { isa: Isa::detect() })
}

/// A linear layer whose packed weights are frozen.
#[derive(Clone, Debug)]
pub(crate) struct FrozenLinear {
    forward: Arc<Linear>,
    /// The packed transpose, if gradients are needed.
    transposed: Option<Arc<Linear>>,
}

impl FrozenLinear {
    /// Packs `weight`, `[outputs, inputs]`; also its transpose if `gradients`.
    pub(crate) fn new(weight: &[f32], bias: &[f32], shape: [usize; 2], gradients: bool) -> kernels::Result<Self> {
        let isa = Isa::detect();
        let transposed = gradients.then(|| Linear::transposed(weight, shape, isa).map(Arc::new)).transpose()?;
        Ok(Self { forward: Arc::new(Linear::new(weight, bias, shape, isa)?), transposed })
    }

    /// Computes the layer for `x`, `[rows, inputs]`.
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(self.clone())
    }
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let rows = layout.shape().dims2()?.0;
        let mut to = vec![0.0; rows * self.forward.outputs()];
        self.forward.run(elements(x, layout)?, &mut to, LinearEpilogue::default());
        Ok((CpuStorage::F32(to), (rows, self.forward.outputs()).into()))
    }

    fn bwd(&self, _x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        match &self.transposed {
            Some(transposed) => Ok(Some(input_gradient(transposed, gradient)?)),
            None => bail!("a frozen tower has no gradients"),
        }
    }
}
