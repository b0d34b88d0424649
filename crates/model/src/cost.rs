//! The arithmetic and memory traffic of a network, to compare its measured speed with the machine's peak.

use kernels::ConvShape;
use kernels::pixels::COLOURS;

use crate::batch::BatchShape;
use crate::layers::LayerList;
use crate::network::Network;
use crate::shapes::{BlockShapes, LayerShapes};

/// The cost of a pass over one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations: the multiplications and additions of the convolutions and of the classifier.
    pub operations: u64,
    /// Elements of activations and their gradients that the CUDA kernels read and write, each operand of a kernel
    /// counted once. Multiply by the size of an element to get bytes. Weights, statistics and repeated reads within a
    /// convolution do not count.
    pub elements: u64,
}

impl Network {
    /// Returns the cost of an inference on an image of `height` x `width` pixels.
    #[must_use]
    pub fn inference_cost(&self, height: usize, width: usize) -> Cost {
        inference(self.layers(), height, width)
    }

    /// Returns the cost of a training step per image of `height` x `width` pixels: the forward pass, and the gradients
    /// of the weights and of the layers' inputs, without that of the pixels.
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

/// Returns the operations of all layers in a forward pass.
fn all_operations(layers: &LayerList, shapes: &LayerShapes) -> u64 {
    shapes.iter().map(operations).sum::<u64>() + 2 * layers.head.weight.range().len() as u64
}

/// Returns the number of elements in a block's output.
fn block_output(block: &BlockShapes) -> u64 {
    output(block.output())
}

/// Returns the number of elements of the pixels. The CUDA kernels store a fourth channel.
fn pixels(stem: &ConvShape) -> u64 {
    input(stem) / COLOURS as u64 * (COLOURS as u64 + 1)
}

/// Returns the number of elements after the max pooling.
fn pooled(shapes: &LayerShapes) -> u64 {
    (shapes.pooled.0 * shapes.pooled.1 * shapes.stem.outputs) as u64
}

fn inference(layers: &LayerList, height: usize, width: usize) -> Cost {
    let shapes = shapes(layers, height, width);
    let pixels = pixels(&shapes.stem);
    // The pixels are written and read. The pooling applies the stem's batch norm while it reads.
    let mut elements = pixels + pixels + 2 * output(&shapes.stem) + pooled(&shapes);
    // Batch norm is folded into the convolutions. The last convolution of a block also reads the shortcut.
    elements += shapes.iter().skip(1).map(|layer| input(layer) + output(layer)).sum::<u64>();
    elements += shapes.blocks.iter().map(block_output).sum::<u64>();
    let last = shapes.blocks.last().map_or(pooled(&shapes), block_output);
    Cost { operations: all_operations(layers, &shapes), elements: elements + last }
}

fn training(layers: &LayerList, height: usize, width: usize) -> Cost {
    let shapes = shapes(layers, height, width);
    let LayerShapes { stem, blocks, .. } = &shapes;
    let (pixels, pooled) = (pixels(stem), pooled(&shapes));
    // Per convolution: the convolution, the statistics of its output, and the gradient of its weight.
    let per_convolution = |input: u64, output: u64| (input + output) + output + (input + output);
    // Per layer with its own ReLU: the sums for the gradient of its batch norm, and that gradient.
    let relu_backward = |layer: &ConvShape| 2 * output(layer) + 3 * output(layer);
    let mut elements = pixels + per_convolution(pixels, output(stem)) + relu_backward(stem);
    // Max pooling forward, and backward from a gradient that is stored in two parts.
    elements += (output(stem) + pooled) + (2 * pooled + output(stem));
    for (i, block) in blocks.iter().enumerate() {
        let Some((last, inner)) = block.main.split_last() else { continue };
        // The convolutions, including the gradients of their inputs.
        elements += block
            .iter()
            .map(|layer| per_convolution(input(layer), output(layer)) + output(layer) + input(layer))
            .sum::<u64>();
        // Applying the batch norms. The one of the last layer also reads the shortcut.
        elements += inner.iter().map(|layer| 2 * output(layer) + relu_backward(layer)).sum::<u64>() + 3 * output(last);
        // The end of the block: the gradient in two parts (one in the last block), the mask, the normalised tensors,
        // the sum.
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
    fn agrees_with_published_counts_of_resnet50() {
        let [inference, training] = [inference, training].map(|count| count(&resnet50(), 224, 224));
        // torchvision's documentation of ResNet50_Weights states 4.09 GFLOPS, where a multiply-add counts as one
        // operation.
        assert_eq!((inference.operations as f64 / 2e7).round(), 409.0);
        // The stem's input gradient, 112 * 112 * 64 * 49 * 3 multiply-adds, is left out.
        assert_eq!(3 * inference.operations - training.operations, 2 * 112 * 112 * 64 * 49 * 3);
        // The outputs of all convolutions have 11.1 million elements ("activations" in Radosavovic et al., arXiv
        // 2003.13678).
        let shapes = LayerShapes::new(&resnet50(), BatchShape { images: 1, height: 224, width: 224 });
        let outputs: usize = shapes.iter().map(ConvShape::output_len).sum();
        assert_eq!(outputs / 100_000, 111);
    }

    #[test]
    fn counts_every_operand_of_a_small_network() {
        // A stem of 8 channels and one bottleneck of 8 inner and 32 outer channels with a projection, on 8 x 8 pixels.
        let layers = LayerList::new(&Architecture::bottlenecks(8, &[1]), 2);
        let (pixels, stem, pooled) = (8 * 8 * 4, 4 * 4 * 8, 2 * 2 * 8);
        let (narrow, wide) = (2 * 2 * 8, 2 * 2 * 32);
        let convolutions = (pooled + narrow) + (narrow + narrow) + (narrow + wide) + (pooled + wide);
        let stem_forward = pixels + (pixels + stem) + (stem + pooled);
        assert_eq!(inference(&layers, 8, 8).elements, stem_forward + convolutions + wide + wide);

        let forward = stem_forward + stem + convolutions + (narrow + narrow + wide + wide);
        let applied = 2 * narrow + 2 * narrow + 3 * wide;
        let join = wide + wide + 2 * wide + wide;
        let backward = join + 3 * wide + 3 * wide + 2 * (5 * narrow) + 2 * convolutions;
        let stem_backward = (2 * pooled + stem) + 5 * stem + (pixels + stem);
        assert_eq!(training(&layers, 8, 8).elements, forward + applied + wide + wide + backward + stem_backward);
    }
}
