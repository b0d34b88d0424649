//! The layers of an architecture by the names of their tensors, for programs that write the network in other formats.

use crate::architecture::{Architecture, ArchitectureError};
use crate::layers::{ConvNorm, LayerList};
use crate::tensor_table::{Entry, TensorTable};

/// A ResNet: stem, ReLU, 3x3 max pooling with stride 2 and padding 1, blocks, average pooling over all positions, and the
/// fully connected layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// The first convolution.
    pub stem: GraphConv,
    /// The residual blocks in order.
    pub blocks: Vec<GraphBlock>,
    /// The name of the fully connected layer, whose tensors are `NAME.weight` and `NAME.bias`.
    pub head: String,
}

/// A residual block: `relu(main(x) + shortcut(x))`. Each layer of `main` except the last is followed by a ReLU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphBlock {
    /// The convolutions of the main path in order; never empty.
    pub main: Vec<GraphConv>,
    /// The projection of the shortcut. Without one, the shortcut is the block's input.
    pub downsample: Option<GraphConv>,
}

/// A convolution without bias, followed by batch normalisation with [`kernels::batch_norm::EPSILON`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphConv {
    /// The name of the convolution, whose tensor is `NAME.weight`.
    pub conv: String,
    /// The name of the normalisation, whose tensors are `NAME.weight`, `NAME.bias`, `NAME.running_mean` and
    /// `NAME.running_var`.
    pub norm: String,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Rows and columns of zeros on each side of the input.
    pub padding: usize,
}

impl Graph {
    /// Returns the layers of the architecture with this name, such as `resnet50`.
    ///
    /// # Errors
    /// [`ArchitectureError::Unknown`].
    pub fn of(architecture: &str) -> Result<Graph, ArchitectureError> {
        let layers = LayerList::new(&Architecture::by_name(architecture)?, 2);
        let conv = |layer: &ConvNorm| GraphConv {
            conv: layer_name(&layers.parameters, layer.weight),
            norm: layer.norm_name.clone(),
            kernel: layer.kernel,
            stride: layer.stride,
            padding: layer.padding,
        };
        let blocks = layers.blocks.iter().map(|block| GraphBlock {
            main: block.main.iter().map(conv).collect(),
            downsample: block.downsample.as_ref().map(conv),
        });
        let head = layer_name(&layers.parameters, layers.head.weight);
        Ok(Graph { stem: conv(&layers.stem), blocks: blocks.collect(), head })
    }
}

/// Returns the name of the layer that owns the tensor `NAME.weight` at `entry`.
fn layer_name(table: &TensorTable, entry: Entry) -> String {
    let tensor = table.entries().iter().find(|(_, _, other)| *other == entry).map_or("", |(name, ..)| name);
    tensor.strip_suffix(".weight").unwrap_or(tensor).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_torchvision() {
        let graph = Graph::of("resnet50").unwrap();
        assert_eq!((graph.stem.conv.as_str(), graph.stem.norm.as_str(), graph.head.as_str()), ("conv1", "bn1", "fc"));
        assert_eq!(graph.blocks.len(), 16);
        let first = graph.blocks[3].downsample.as_ref().unwrap();
        assert_eq!((first.conv.as_str(), first.norm.as_str()), ("layer2.0.downsample.0", "layer2.0.downsample.1"));
        assert_eq!((first.kernel, first.stride, first.padding), (1, 2, 0));
        let strides: Vec<usize> = graph.blocks[3].main.iter().map(|conv| conv.stride).collect();
        assert_eq!(strides, [1, 2, 1]);
        assert!(Graph::of("resnet51").is_err());
    }
}
