//! The arithmetic and memory traffic of a network, to compare its measured speed with the machine's.

use kernels::ConvShape;
use kernels::pixels::COLOURS;

use crate::batch::BatchShape;
use crate::layers::LayerList;
use crate::network::Network;
use crate::shapes::{BlockShapes, LayerShapes};

/// The cost of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations: the multiplications and additions of the convolutions and of the classifier.
    pub operations: u64,
    /// Elements of activations and their gradients that the CUDA kernels read and write, each operand once. Multiply by the
    /// size of an element to get bytes. Weights, statistics and repeated reads within a convolution are left out.
    pub elements: u64,
}

impl Network {
    /// Returns the cost of an inference on an image of `height` x `width` pixels.
    #[must_use]
    pub fn inference_cost(&self, height: usize, width: usize) -> Cost {
        inference(self.layers(), height, width)
    }

    /// Returns the cost of a training step per image of `height` x `width` pixels: forward, the gradients of the weights and
    /// of the inputs. The gradient of the pixels is not computed.
    #[must_use]
    pub fn training_cost(&self, height: usize, width: usize) -> Cost {
        training(self.layers(), height, width)
    }
}

fn shapes(layers: &LayerList, height: usize, width: usize) -> LayerShapes {
    LayerShapes::new(layers, BatchShape { images: 1, height, width })
}

fn input(shape: &ConvShape) -> u64 {
    shape.input_len() as u64
}

fn output(shape: &ConvShape) -> u64 {
    shape.output_len() as u64
}

fn operations(shape: &ConvShape) -> u64 {
    2 * output(shape) * (shape.kernel * shape.kernel * shape.inputs) as u64
}

/// Operations of all layers, forward.
fn all_operations(layers: &LayerList, shapes: &LayerShapes) -> u64 {
    shapes.iter().map(operations).sum::<u64>() + 2 * layers.head.weight.range().len() as u64
}

/// Elements of a block's output.
fn block_output(block: &BlockShapes) -> u64 {
    output(block.output())
}

/// Elements of the pixels: the CUDA kernels store a fourth channel.
fn pixels(stem: &ConvShape) -> u64 {
    input(stem) / COLOURS as u64 * (COLOURS as u64 + 1)
}

/// Elements after the max pooling.
fn pooled(shapes: &LayerShapes) -> u64 {
    (shapes.pooled.0 * shapes.pooled.1 * shapes.stem.outputs) as u64
}

fn inference(layers: &LayerList, height: usize, width: usize) -> Cost {
    let shapes = shapes(layers, height, width);
    let pixels = pixels(&shapes.stem);
    // The pixels are written and read; the pooling applies the stem's batch norm while it reads.
    let mut elements = pixels + pixels + 2 * output(&shapes.stem) + pooled(&shapes);
    // Batch norm is folded into the convolutions; the last one of a block reads the shortcut.
    elements += shapes.iter().skip(1).map(|layer| input(layer) + output(layer)).sum::<u64>();
    elements += shapes.blocks.iter().map(block_output).sum::<u64>();
    let last = shapes.blocks.last().map_or(pooled(&shapes), block_output);
    Cost { operations: all_operations(layers, &shapes), elements: elements + last }
}

fn training(layers: &LayerList, height: usize, width: usize) -> Cost {
    let shapes = shapes(layers, height, width);
    let LayerShapes { stem, blocks, .. } = &shapes;
    let (pixels, pooled) = (pixels(stem), pooled(&shapes));
    // Each convolution, the statistics of its output, and the gradient of its weight.
    let every = |input: u64, output: u64| (input + output) + output + (input + output);
    // Each layer with a ReLU of its own: the sums for the gradient of its batch norm, and that gradient.
    let behind_relu = |layer: &ConvShape| 2 * output(layer) + 3 * output(layer);
    let mut elements = pixels + every(pixels, output(stem)) + behind_relu(stem);
    // Max pooling forward; backward from a gradient in two parts.
    elements += (output(stem) + pooled) + (2 * pooled + output(stem));
    for (i, block) in blocks.iter().enumerate() {
        let Some((last, inner)) = block.main.split_last() else { continue };
        // With the gradient of the input.
        elements +=
            block.iter().map(|layer| every(input(layer), output(layer)) + output(layer) + input(layer)).sum::<u64>();
        // Normalised, and the last layer again with the shortcut.
        elements += inner.iter().map(|layer| 2 * output(layer) + behind_relu(layer)).sum::<u64>() + 3 * output(last);
        // The end of the block: the gradient in two parts (one in the last block), the mask, the normalised tensors, the sum.
        let parts = if i + 1 == blocks.len() { 1 } else { 2 };
        let normalised = 1 + u64::from(block.downsample.is_some());
        elements += (parts + 1 + normalised + 1) * output(last) + 3 * normalised * output(last);
    }
    // The average over all positions, forward and backward.
    elements += 2 * blocks.last().map_or(pooled, block_output);
    Cost { operations: 3 * all_operations(layers, &shapes) - operations(stem), elements }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Architecture;

    fn resnet50() -> LayerList {
        LayerList::new(&Architecture::by_name("resnet50").unwrap(), 1000)
    }

    #[test]
    fn counts_as_torchvision_does() {
        let [inference, training] = [inference, training].map(|count| count(&resnet50(), 224, 224));
        // torchvision's documentation of ResNet50_Weights: 4.09 GFLOPS, a multiply-add counted as one there.
        assert_eq!((inference.operations as f64 / 2e7).round(), 409.0);
        // The stem's input gradient, 112 * 112 * 64 * 49 * 3 multiply-adds, is left out.
        assert_eq!(3 * inference.operations - training.operations, 2 * 112 * 112 * 64 * 49 * 3);
        // The outputs of its convolutions are 11.1 million elements (activations in Radosavovic et al., arXiv 2003.13678).
        let shapes = LayerShapes::new(&resnet50(), BatchShape { images: 1, height: 224, width: 224 });
        let outputs: usize = shapes.iter().map(ConvShape::output_len).sum();
        assert_eq!(outputs / 100_000, 111);
    }

    #[test]
    fn counts_every_operand_of_a_small_network() {
        // A stem of 8 channels and one bottleneck of 8 and 32 with a projection, on 8 x 8 pixels.
        let layers = LayerList::new(&Architecture::bottlenecks(8, &[1]), 2);
        let (pixels, stem, pooled) = (8 * 8 * 4, 4 * 4 * 8, 2 * 2 * 8);
        let (narrow, wide) = (2 * 2 * 8, 2 * 2 * 32);
        let convolutions = (pooled + narrow) + (narrow + narrow) + (narrow + wide) + (pooled + wide);
        let at_the_stem = pixels + (pixels + stem) + (stem + pooled);
        assert_eq!(inference(&layers, 8, 8).elements, at_the_stem + convolutions + wide + wide);

        let forward = at_the_stem + stem + convolutions + (narrow + narrow + wide + wide);
        let applied = 2 * narrow + 2 * narrow + 3 * wide;
        let join = wide + wide + 2 * wide + wide;
        let backward = join + 3 * wide + 3 * wide + 2 * (5 * narrow) + 2 * convolutions;
        let stem_backward = (2 * pooled + stem) + 5 * stem + (pixels + stem);
        assert_eq!(training(&layers, 8, 8).elements, forward + applied + wide + wide + backward + stem_backward);
    }
}
