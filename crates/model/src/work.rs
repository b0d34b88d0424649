//! The arithmetic and memory traffic of a network, to compare its measured speed with the machine's.

use crate::architecture::{COLOURS, ConvNorm, Plan, pooled_side};
use crate::network::Network;

/// What one image takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Floating-point operations: the multiplications and the additions of convolutions and of the classifier.
    pub operations: u64,
    /// Elements of activations and their gradients that the kernels for CUDA cards read and write, each operand once. The
    /// bytes are these times an element's; weights, statistics and what a convolution reads twice are left out.
    pub elements: u64,
}

impl Network {
    /// An inference of an image of `height` x `width` pixels.
    #[must_use]
    pub fn work_of_inference(&self, height: usize, width: usize) -> Work {
        inference(self.plan(), height, width)
    }

    /// A training step with such an image: forward, the weights' gradients and the inputs' gradients, but not that of the
    /// picture, which nothing needs.
    #[must_use]
    pub fn work_of_training(&self, height: usize, width: usize) -> Work {
        training(self.plan(), height, width)
    }
}

/// A convolution at its size.
#[derive(Clone, Copy)]
struct Layer {
    /// Elements of its input.
    input: u64,
    /// Elements of its output.
    output: u64,
    operations: u64,
}

/// The layers of a network at their sizes.
struct Layers {
    stem: Layer,
    /// Elements after the first pooling.
    pooled: u64,
    blocks: Vec<Block>,
    /// Operations of the classifier.
    head: u64,
}

struct Block {
    main: Vec<Layer>,
    downsample: Option<Layer>,
    /// Elements of its output.
    output: u64,
}

impl Layers {
    fn new(plan: &Plan, height: usize, width: usize) -> Self {
        let (mut stem, mut size) = through(&plan.stem, [height, width]);
        // The kernels' pixels have a fourth channel.
        stem.input = stem.input / COLOURS as u64 * (COLOURS as u64 + 1);
        size = size.map(pooled_side);
        let pooled = (size[0] * size[1] * plan.stem.outputs) as u64;
        let mut blocks = Vec::new();
        for block in &plan.blocks {
            let from = size;
            let mut main = Vec::new();
            for layer in &block.main {
                let (layer, after) = through(layer, size);
                main.push(layer);
                size = after;
            }
            let downsample = block.downsample.as_ref().map(|layer| through(layer, from).0);
            let output = main.last().map_or(0, |layer: &Layer| layer.output);
            blocks.push(Block { main, downsample, output });
        }
        Self { stem, pooled, blocks, head: 2 * plan.head.weight.range().len() as u64 }
    }

    /// The convolutions after the stem.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.blocks.iter().flat_map(|block| block.main.iter().chain(&block.downsample))
    }

    fn operations(&self) -> u64 {
        self.stem.operations + self.layers().map(|layer| layer.operations).sum::<u64>() + self.head
    }

    /// Elements of the last block's output.
    fn last(&self) -> u64 {
        self.blocks.last().map_or(self.pooled, |block| block.output)
    }
}

/// A convolution on an input of `size`, and the size of its output.
fn through(layer: &ConvNorm, size: [usize; 2]) -> (Layer, [usize; 2]) {
    let after = size.map(|side| layer.output_side(side));
    let input = (size[0] * size[1] * layer.inputs) as u64;
    let output = (after[0] * after[1] * layer.outputs) as u64;
    let operations = 2 * output * (layer.kernel * layer.kernel * layer.inputs) as u64;
    (Layer { input, output, operations }, after)
}

fn inference(plan: &Plan, height: usize, width: usize) -> Work {
    let sized = Layers::new(plan, height, width);
    // The pixels are written, and the pooling takes the stem's batch norm in passing.
    let mut elements = sized.stem.input + sized.stem.input + 2 * sized.stem.output + sized.pooled;
    // Batch norm is folded into the convolutions; the last of a block reads the shortcut.
    elements += sized.layers().map(|layer| layer.input + layer.output).sum::<u64>();
    elements += sized.blocks.iter().map(|block| block.output).sum::<u64>();
    Work { operations: sized.operations(), elements: elements + sized.last() }
}

fn training(plan: &Plan, height: usize, width: usize) -> Work {
    let sized = Layers::new(plan, height, width);
    let Layers { stem, pooled, blocks, .. } = &sized;
    // Each convolution, the statistics of its output, and the gradient of its weight.
    let every = |layer: &Layer| (layer.input + layer.output) + layer.output + (layer.input + layer.output);
    // Behind a ReLU of its own: the sums for the gradient of its batch norm, and that gradient.
    let behind_relu = |layer: &Layer| 2 * layer.output + 3 * layer.output;
    let mut elements = stem.input + every(stem) + behind_relu(stem);
    // Pooling forward; backward from two parts.
    elements += (stem.output + pooled) + (2 * pooled + stem.output);
    for (i, block) in blocks.iter().enumerate() {
        let Some((last, inner)) = block.main.split_last() else { continue };
        let layers = || block.main.iter().chain(&block.downsample);
        // With the gradient of its input.
        elements += layers().map(|layer| every(layer) + layer.output + layer.input).sum::<u64>();
        // Normalised, and again with the shortcut.
        elements += inner.iter().map(|layer| 2 * layer.output + behind_relu(layer)).sum::<u64>() + 3 * last.output;
        // Where the block ends: the gradient in two parts (one, for the last), the mask, what was normalised, the sum.
        let parts = if i + 1 == blocks.len() { 1 } else { 2 };
        let normalised = 1 + u64::from(block.downsample.is_some());
        elements += (parts + 1 + normalised + 1) * block.output + 3 * normalised * block.output;
    }
    // The average over all positions, forward and backward.
    elements += 2 * sized.last();
    Work { operations: 3 * sized.operations() - stem.operations, elements }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Architecture;

    fn resnet50() -> Plan {
        Plan::new(&Architecture::by_name("resnet50").unwrap(), 1000)
    }

    #[test]
    fn resnet50_is_as_much_as_torchvision_says() {
        let [inference, training] = [inference, training].map(|work| work(&resnet50(), 224, 224));
        // torchvision's documentation of ResNet50_Weights: 4.09 GFLOPS, a multiply-add counted as one there.
        assert_eq!((inference.operations as f64 / 2e7).round(), 409.0);
        // The stem's input gradient, 112 * 112 * 64 * 49 * 3 multiply-adds, is left out.
        assert_eq!(3 * inference.operations - training.operations, 2 * 112 * 112 * 64 * 49 * 3);
        // The outputs of its convolutions are 11.1 million elements (activations in Radosavovic et al., arXiv 2003.13678).
        let outputs: u64 = {
            let sized = Layers::new(&resnet50(), 224, 224);
            sized.stem.output + sized.layers().map(|layer| layer.output).sum::<u64>()
        };
        assert_eq!(outputs / 100_000, 111);
    }

    #[test]
    fn every_operand_of_a_small_network_is_counted() {
        // A stem of 8 channels and one bottleneck of 8 and 32 with a projection, on 8 x 8 pixels.
        let plan = Plan::new(&Architecture::bottlenecks(8, &[1]), 2);
        let (pixels, stem, pooled) = (8 * 8 * 4, 4 * 4 * 8, 2 * 2 * 8);
        let (narrow, wide) = (2 * 2 * 8, 2 * 2 * 32);
        let convolutions = (pooled + narrow) + (narrow + narrow) + (narrow + wide) + (pooled + wide);
        let at_the_stem = pixels + (pixels + stem) + (stem + pooled);
        assert_eq!(inference(&plan, 8, 8).elements, at_the_stem + convolutions + wide + wide);

        let forward = at_the_stem + stem + convolutions + (narrow + narrow + wide + wide);
        let applied = 2 * narrow + 2 * narrow + 3 * wide;
        let join = wide + wide + 2 * wide + wide;
        let backward = join + 3 * wide + 3 * wide + 2 * (5 * narrow) + 2 * convolutions;
        let stem_backward = (2 * pooled + stem) + 5 * stem + (pixels + stem);
        assert_eq!(training(&plan, 8, 8).elements, forward + applied + wide + wide + backward + stem_backward);
    }
}
