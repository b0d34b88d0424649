//! Wrappers of cuDNN's descriptors of tensors and operations. Each wrapper destroys its descriptor on drop.
#![expect(unsafe_code, reason = "cuDNN is a C library; descriptors live as long as their owners")]

use std::ffi::c_int;

use cudarc::cudnn::result::{self, CudnnError};
use cudarc::cudnn::sys;

use crate::precision::Precision;
use crate::shape::ConvShape;

/// The element type, shape and layout of an activation tensor.
#[derive(Debug)]
pub(crate) struct TensorDescriptor(pub(crate) sys::cudnnTensorDescriptor_t);

/// The element type, shape and layout of a weight.
#[derive(Debug)]
pub(crate) struct FilterDescriptor(pub(crate) sys::cudnnFilterDescriptor_t);

/// The activation function that is fused into a convolution.
#[derive(Debug)]
pub(crate) struct ActivationDescriptor(pub(crate) sys::cudnnActivationDescriptor_t);

/// Stride, padding and arithmetic of a convolution.
#[derive(Debug)]
pub(crate) struct ConvolutionDescriptor(pub(crate) sys::cudnnConvolutionDescriptor_t);

impl TensorDescriptor {
    /// Creates a descriptor. cuDNN orders `shape` as `[images, channels, height, width]`; memory is channels-last.
    pub(crate) fn new(precision: Precision, shape: [usize; 4]) -> std::result::Result<Self, CudnnError> {
        let tensor = Self(result::create_tensor_descriptor()?);
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // SAFETY: the descriptor is live.
        unsafe { result::set_tensor4d_descriptor(tensor.0, format, data_type(precision), shape.map(int)) }?;
        Ok(tensor)
    }
}

impl Drop for TensorDescriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live and not used again. An error is ignored, since drop cannot report it.
        let _ = unsafe { result::destroy_tensor_descriptor(self.0) };
    }
}

impl ActivationDescriptor {
    /// Creates the descriptor of a ReLU that propagates NaN.
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
        // SAFETY: the descriptor is live and not used again. An error is ignored, since drop cannot report it.
        let _ = unsafe { sys::cudnnDestroyActivationDescriptor(self.0) };
    }
}

impl FilterDescriptor {
    /// Creates a descriptor. cuDNN orders `shape` as `[outputs, inputs, height, width]`; in memory, inputs are last.
    pub(crate) fn new(precision: Precision, shape: [usize; 4]) -> std::result::Result<Self, CudnnError> {
        let filter = Self(result::create_filter_descriptor()?);
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // SAFETY: the descriptor is live.
        unsafe { result::set_filter4d_descriptor(filter.0, data_type(precision), format, shape.map(int)) }?;
        Ok(filter)
    }
}

impl Drop for FilterDescriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live and not used again. An error is ignored, since drop cannot report it.
        let _ = unsafe { result::destroy_filter_descriptor(self.0) };
    }
}

impl ConvolutionDescriptor {
    /// Creates a descriptor with the stride and padding of `shape`. Sums are f32.
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
        // SAFETY: the descriptor is live and not used again. An error is ignored, since drop cannot report it.
        let _ = unsafe { result::destroy_convolution_descriptor(self.0) };
    }
}

fn data_type(precision: Precision) -> sys::cudnnDataType_t {
    match precision {
        Precision::F32 | Precision::Tf32 => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
        Precision::Bf16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
    }
}

/// Returns the math type of a precision: tensor cores for bf16 and TF32, and FMA instructions for f32.
pub(crate) fn math_type(precision: Precision) -> sys::cudnnMathType_t {
    match precision {
        Precision::F32 => sys::cudnnMathType_t::CUDNN_FMA_MATH,
        Precision::Tf32 | Precision::Bf16 => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
    }
}

fn int(value: usize) -> c_int {
    value as c_int
}
