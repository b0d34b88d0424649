//! cuDNN's descriptors: what stands where in memory, and how it is convolved. Each is destroyed with its owner.
#![expect(unsafe_code, reason = "cuDNN is C; descriptors live as long as their owners")]

use std::ffi::c_int;

use cudarc::cudnn::result::{self, CudnnError};
use cudarc::cudnn::sys;

use super::engine::{Geometry, Precision};

/// Of activations.
#[derive(Debug)]
pub(crate) struct Tensor(pub(crate) sys::cudnnTensorDescriptor_t);

/// Of weights.
#[derive(Debug)]
pub(crate) struct Filter(pub(crate) sys::cudnnFilterDescriptor_t);

/// Of what follows a convolution.
#[derive(Debug)]
pub(crate) struct Activation(pub(crate) sys::cudnnActivationDescriptor_t);

/// Of a convolution.
#[derive(Debug)]
pub(crate) struct Operation(pub(crate) sys::cudnnConvolutionDescriptor_t);

impl Tensor {
    /// `[images, channels, height, width]` in cuDNN's order of naming, channels last in memory.
    pub(crate) fn new(precision: Precision, shape: [usize; 4]) -> std::result::Result<Self, CudnnError> {
        let tensor = Self(result::create_tensor_descriptor()?);
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // SAFETY: the descriptor is live.
        unsafe { result::set_tensor4d_descriptor(tensor.0, format, element(precision), shape.map(int)) }?;
        Ok(tensor)
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live, and nobody has it any more. A failure leaves nothing to be done.
        let _ = unsafe { result::destroy_tensor_descriptor(self.0) };
    }
}

impl Activation {
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

impl Drop for Activation {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live, and nobody has it any more. A failure leaves nothing to be done.
        let _ = unsafe { sys::cudnnDestroyActivationDescriptor(self.0) };
    }
}

impl Filter {
    /// `[outputs, inputs, height, width]` in cuDNN's order of naming, inputs last in memory.
    pub(crate) fn new(precision: Precision, shape: [usize; 4]) -> std::result::Result<Self, CudnnError> {
        let filter = Self(result::create_filter_descriptor()?);
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // SAFETY: the descriptor is live.
        unsafe { result::set_filter4d_descriptor(filter.0, element(precision), format, shape.map(int)) }?;
        Ok(filter)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // SAFETY: the descriptor is live, and nobody has it any more. A failure leaves nothing to be done.
        let _ = unsafe { result::destroy_filter_descriptor(self.0) };
    }
}

impl Operation {
    /// Stride and padding of `geometry`; sums are f32.
    pub(crate) fn new(geometry: &Geometry, math: sys::cudnnMathType_t) -> std::result::Result<Self, CudnnError> {
        let operation = Self(result::create_convolution_descriptor()?);
        let (padding, stride) = (int(geometry.padding), int(geometry.stride));
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

impl Drop for Operation {
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

/// Tensor cores for bf16 and, where it is asked for, TF32; plain multiplication for f32.
pub(crate) fn math(precision: Precision) -> sys::cudnnMathType_t {
    match precision {
        Precision::F32 => sys::cudnnMathType_t::CUDNN_FMA_MATH,
        Precision::Tf32 | Precision::Bf16 => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
    }
}

fn int(value: usize) -> c_int {
    value as c_int
}

#[cfg(test)]
mod tests {
    use super::*;

    /// cuDNN keeps descriptors without a card, so where the library is, what it makes of ours can be held.
    #[test]
    fn cudnn_reads_tensors_as_the_kernels_write_them() {
        if let Err(reason) = crate::cuda::convolution::Cudnn::check() {
            return testing::skip(testing::Need::Cudnn, reason);
        }
        for (height, width, inputs, outputs, kernel, stride, padding) in [
            (224, 224, 4, 64, 7, 2, 3),
            (55, 57, 256, 128, 1, 2, 0),
            (28, 27, 128, 128, 3, 2, 1),
            (7, 9, 8, 16, 3, 1, 1),
        ] {
            let geometry = Geometry { images: 3, height, width, inputs, outputs, kernel, stride, padding };
            for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
                let x = Tensor::new(precision, [3, inputs, height, width]).unwrap();
                let weight = Filter::new(precision, [outputs, inputs, kernel, kernel]).unwrap();
                let operation = Operation::new(&geometry, math(precision)).unwrap();
                let mut shape: [c_int; 4] = [0; 4];
                let [n, c, h, w] = &mut shape;
                // SAFETY: the descriptors are live.
                let status =
                    unsafe { sys::cudnnGetConvolution2dForwardOutputDim(operation.0, x.0, weight.0, n, c, h, w) };
                status.result().unwrap();
                let (out_height, out_width) = geometry.output();
                assert_eq!(shape, [3, outputs, out_height, out_width].map(int), "{geometry:?}");
                assert_eq!(strides(&x), [height * width * inputs, 1, width * inputs, inputs].map(int), "{geometry:?}");
            }
        }
    }

    /// Elements from one image, channel, row and column to the next.
    fn strides(tensor: &Tensor) -> [c_int; 4] {
        let mut element = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
        let ([mut n, mut c, mut h, mut w], mut strides) = ([0; 4], [0; 4]);
        let [sn, sc, sh, sw] = &mut strides;
        // SAFETY: the descriptor is live.
        let status = unsafe {
            sys::cudnnGetTensor4dDescriptor(tensor.0, &mut element, &mut n, &mut c, &mut h, &mut w, sn, sc, sh, sw)
        };
        status.result().unwrap();
        strides
    }
}
