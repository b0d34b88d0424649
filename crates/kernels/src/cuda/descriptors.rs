//! cuDNN's descriptors: what stands where in memory, and how it is convolved. Each is destroyed with its owner.
#![expect(unsafe_code, reason = "cuDNN is C; descriptors live as long as their owners")]

use std::ffi::c_int;

use cudarc::cudnn::result::{self, CudnnError};
use cudarc::cudnn::sys;

use crate::precision::Precision;
use crate::shape::ConvShape;

/// Of activations.
#[derive(Debug)]
pub(crate) struct TensorDescriptor(pub(crate) sys::cudnnTensorDescriptor_t);

/// Of weights.
#[derive(Debug)]
pub(crate) struct FilterDescriptor(pub(crate) sys::cudnnFilterDescriptor_t);

/// Of what follows a convolution.
#[derive(Debug)]
pub(crate) struct ActivationDescriptor(pub(crate) sys::cudnnActivationDescriptor_t);

/// Of a convolution.
#[derive(Debug)]
pub(crate) struct ConvolutionDescriptor(pub(crate) sys::cudnnConvolutionDescriptor_t);

impl TensorDescriptor {
    /// `[images, channels, height, width]` in cuDNN's order of naming, channels last in memory.
    pub(crate) fn new(precision: Precision, shape: [usize; 4]) -> std::result::Result<Self, CudnnError> {
        let tensor = Self(result::create_tensor_descriptor()?);
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // SAFETY: the descriptor is live.
        unsafe { result::set_tensor4d_descriptor(tensor.0, format, element(precision), shape.map(int)) }?;
        Ok(tensor)
    }
}

impl Drop for TensorDescriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live, and nobody has it any more. A failure leaves nothing to be done.
        let _ = unsafe { result::destroy_tensor_descriptor(self.0) };
    }
}

impl ActivationDescriptor {
    /// ReLU; NaN stays NaN.
    pub(crate) fn relu() -> std::result::Result<Self, CudnnError> {
        let activation = Self(result::create_activation_descriptor()?);
        let mode = sys::cudnnActivationMode_t::CUDNN_ACTIVATION_RELU;
        let nan = sys::cudnnNanPropagation_t::CUDNN_PROPAGATE_NAN;
        // SAFETY: the descriptor is live.
        unsafe { result::set_activation_descriptor(activation.0, mode, nan, 0.0) }?;
        Ok(activation)
    }
}

impl Drop for ActivationDescriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live, and nobody has it any more. A failure leaves nothing to be done.
        let _ = unsafe { sys::cudnnDestroyActivationDescriptor(self.0) };
    }
}

impl FilterDescriptor {
    /// `[outputs, inputs, height, width]` in cuDNN's order of naming, inputs last in memory.
    pub(crate) fn new(precision: Precision, shape: [usize; 4]) -> std::result::Result<Self, CudnnError> {
        let filter = Self(result::create_filter_descriptor()?);
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // SAFETY: the descriptor is live.
        unsafe { result::set_filter4d_descriptor(filter.0, element(precision), format, shape.map(int)) }?;
        Ok(filter)
    }
}

impl Drop for FilterDescriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live, and nobody has it any more. A failure leaves nothing to be done.
        let _ = unsafe { result::destroy_filter_descriptor(self.0) };
    }
}

impl ConvolutionDescriptor {
    /// Stride and padding of `shape`; sums are f32.
    pub(crate) fn new(shape: &ConvShape, math: sys::cudnnMathType_t) -> std::result::Result<Self, CudnnError> {
        let operation = Self(result::create_convolution_descriptor()?);
        let (padding, stride) = (int(shape.padding), int(shape.stride));
        let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let sums = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
        // SAFETY: the descriptor is live.
        unsafe {
            result::set_convolution2d_descriptor(operation.0, padding, padding, stride, stride, 1, 1, mode, sums)?;
            result::set_convolution_math_type(operation.0, math)?;
        }
        Ok(operation)
    }
}

impl Drop for ConvolutionDescriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live, and nobody has it any more. A failure leaves nothing to be done.
        let _ = unsafe { result::destroy_convolution_descriptor(self.0) };
    }
}

fn element(precision: Precision) -> sys::cudnnDataType_t {
    match precision {
        Precision::F32 | Precision::Tf32 => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
        Precision::Bf16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
    }
}

/// TensorDescriptor cores for bf16 and, where it is asked for, TF32; plain multiplication for f32.
pub(crate) fn math(precision: Precision) -> sys::cudnnMathType_t {
    match precision {
        Precision::F32 => sys::cudnnMathType_t::CUDNN_FMA_MATH,
        Precision::Tf32 | Precision::Bf16 => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
    }
}

fn int(value: usize) -> c_int {
    value as c_int
}
