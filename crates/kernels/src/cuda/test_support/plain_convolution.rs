//! The emulator's convolution: plain loops in f64, with operands in the element type of the precision.

use half::bf16;

use crate::cuda::engine::Address;
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

/// A convolution for the emulator. It needs no preparation beyond its shape.
#[derive(Clone, Copy, Debug)]
pub struct PlainConvolution {
    pub(super) shape: ConvShape,
    pub(super) precision: Precision,
    pub(super) gradients: Gradients,
}

impl PlainConvolution {
    /// Elements of the input, the weight and the output.
    pub(super) fn lens(&self) -> [usize; 3] {
        [self.shape.input_len(), self.shape.weight_len(), self.shape.output_len()]
    }

    /// Calls `f(x, w, y)` for each product, with the indices of its input and weight and of the output that it is added
    /// to.
    pub(super) fn for_each_product(&self, mut f: impl FnMut(usize, usize, usize)) {
        let ConvShape { images, height, width, inputs, outputs, kernel, stride, padding } = self.shape;
        let (out_height, out_width) = self.shape.output();
        for pixel in 0..images * out_height * out_width {
            let (image, out_y, out_x) =
                (pixel / (out_height * out_width), pixel / out_width % out_height, pixel % out_width);
            for tap in 0..kernel * kernel {
                let y = (out_y * stride + tap / kernel).checked_sub(padding).filter(|&y| y < height);
                let x = (out_x * stride + tap % kernel).checked_sub(padding).filter(|&x| x < width);
                let (Some(y), Some(x)) = (y, x) else { continue };
                let from = ((image * height + y) * width + x) * inputs;
                for output in 0..outputs {
                    for input in 0..inputs {
                        let weight = (output * kernel * kernel + tap) * inputs + input;
                        f(from + input, weight, pixel * outputs + output);
                    }
                }
            }
        }
    }

    /// Reads `len` elements.
    #[expect(unsafe_code, reason = "the addresses of the emulator point into this process")]
    pub(super) fn read(&self, from: Address, len: usize) -> Vec<f64> {
        // SAFETY: the caller of the engine passes a valid address.
        match self.precision {
            Precision::Bf16 => {
                let stored = unsafe { std::slice::from_raw_parts(from as *const u16, len) };
                stored.iter().map(|&bits| bf16::from_bits(bits).to_f64()).collect()
            }
            _ => {
                let stored = unsafe { std::slice::from_raw_parts(from as *const f32, len) };
                stored.iter().map(|&value| f64::from(value)).collect()
            }
        }
    }

    /// Writes elements, rounded once.
    #[expect(unsafe_code, reason = "the addresses of the emulator point into this process")]
    pub(super) fn write(&self, values: &[f64], to: Address) {
        // SAFETY: the caller of the engine passes a valid address.
        match self.precision {
            Precision::Bf16 => {
                let stored = unsafe { std::slice::from_raw_parts_mut(to as *mut u16, values.len()) };
                stored.iter_mut().zip(values).for_each(|(to, &value)| *to = bf16::from_f64(value).to_bits());
            }
            _ => {
                let stored = unsafe { std::slice::from_raw_parts_mut(to as *mut f32, values.len()) };
                stored.iter_mut().zip(values).for_each(|(to, &value)| *to = value as f32);
            }
        }
    }
}
