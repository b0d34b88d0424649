//! How much arithmetic a network is: what its speed is held against the machine's with.

use crate::architecture::{ConvNorm, Plan};
use crate::network::Network;

/// Floating-point operations for one image: the multiplications and the additions of convolutions and of the classifier. All
/// else is passes over memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// One inference.
    pub inference: u64,
    /// One training step: forward, the weights' gradients and the inputs' gradients, but not that of the picture, which
    /// nothing needs.
    pub training: u64,
}

impl Network {
    /// The arithmetic for one image of `height` x `width` pixels.
    #[must_use]
    pub fn work(&self, height: usize, width: usize) -> Work {
        of_plan(self.plan(), height, width)
    }
}

fn of_plan(plan: &Plan, height: usize, width: usize) -> Work {
    let (stem, mut size) = through(&plan.stem, [height, width]);
    // 3x3 with stride 2 and padding 1.
    size = size.map(|side| (side - 1) / 2 + 1);
    let mut inference = stem;
    for block in &plan.blocks {
        let from = size;
        for layer in &block.main {
            let (work, after) = through(layer, size);
            (inference, size) = (inference + work, after);
        }
        inference += block.downsample.as_ref().map_or(0, |layer| through(layer, from).0);
    }
    inference += 2 * plan.head.weight.range().len() as u64;
    Work { inference, training: 3 * inference - stem }
}

/// A convolution's operations on an input of `size`, and the size of its output.
fn through(layer: &ConvNorm, size: [usize; 2]) -> (u64, [usize; 2]) {
    let after = size.map(|side| layer.output_side(side));
    let products = after[0] * after[1] * layer.outputs * layer.kernel * layer.kernel * layer.inputs;
    (2 * products as u64, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Architecture;

    #[test]
    fn resnet50_is_as_much_as_torchvision_says() {
        let plan = Plan::new(&Architecture::by_name("resnet50").unwrap(), 1000);
        let work = of_plan(&plan, 224, 224);
        // torchvision's documentation of ResNet50_Weights: 4.09 GFLOPS, a multiply-add counted as one there.
        assert_eq!((work.inference as f64 / 2e7).round(), 409.0);
        // The stem's input gradient, 112 * 112 * 64 * 49 * 3 multiply-adds, is left out.
        assert_eq!(3 * work.inference - work.training, 2 * 112 * 112 * 64 * 49 * 3);
    }
}
