//! Tests cuDNN's descriptors. They need an installed cuDNN, but no card.
#![expect(unsafe_code, reason = "cuDNN is a C library; descriptors live as long as their owners")]

use std::ffi::c_int;

use cudarc::cudnn::sys;

use crate::cuda::cudnn::Cudnn;
use crate::cuda::descriptors::{ConvolutionDescriptor, FilterDescriptor, TensorDescriptor, math_type};
use crate::{ConvShape, Precision};

/// Checks the output shape and the strides that cuDNN derives from the descriptors.
#[test]
fn cudnn_descriptors_match_the_layout_of_the_kernels() {
    if let Err(reason) = Cudnn::check() {
        return testing::skip(testing::Need::Cudnn, reason);
    }
    for (height, width, inputs, outputs, kernel, stride, padding) in
        [(224, 224, 4, 64, 7, 2, 3), (55, 57, 256, 128, 1, 2, 0), (28, 27, 128, 128, 3, 2, 1), (7, 9, 8, 16, 3, 1, 1)]
    {
        let shape = ConvShape { images: 3, height, width, inputs, outputs, kernel, stride, padding };
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            let x = TensorDescriptor::new(precision, [3, inputs, height, width]).unwrap();
            let weight = FilterDescriptor::new(precision, [outputs, inputs, kernel, kernel]).unwrap();
            let operation = ConvolutionDescriptor::new(&shape, math_type(precision)).unwrap();
            let mut output: [c_int; 4] = [0; 4];
            let [n, c, h, w] = &mut output;
            // SAFETY: the descriptors are live.
            let status = unsafe { sys::cudnnGetConvolution2dForwardOutputDim(operation.0, x.0, weight.0, n, c, h, w) };
            status.result().unwrap();
            let (out_height, out_width) = shape.output();
            assert_eq!(output, [3, outputs, out_height, out_width].map(|value| value as c_int), "{shape:?}");
            assert_eq!(
                strides(&x),
                [height * width * inputs, 1, width * inputs, inputs].map(|value| value as c_int),
                "{shape:?}"
            );
        }
    }
}

/// The strides of images, channels, rows and columns, in elements.
fn strides(tensor: &TensorDescriptor) -> [c_int; 4] {
    let mut data_type = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
    let ([mut n, mut c, mut h, mut w], mut strides) = ([0; 4], [0; 4]);
    let [sn, sc, sh, sw] = &mut strides;
    // SAFETY: the descriptor is live.
    let status = unsafe {
        sys::cudnnGetTensor4dDescriptor(tensor.0, &mut data_type, &mut n, &mut c, &mut h, &mut w, sn, sc, sh, sw)
    };
    status.result().unwrap();
    strides
}
