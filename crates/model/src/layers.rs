//! The list of a network's layers, which every back end runs.

use kernels::ConvShape;
use kernels::pixels::COLOURS;

use crate::architecture::{ARCHITECTURES, Architecture, ArchitectureError, BlockKind, Stage, Stem};
use crate::tensor_table::{Entry, TensorTable};

/// A convolution without bias, followed by batch normalisation.
#[derive(Clone, Debug)]
pub(crate) struct ConvNorm {
    /// The normalisation's name, such as `layer1.0.bn2`, for messages.
    pub(crate) norm_name: String,
    /// Input channels.
    pub(crate) inputs: usize,
    /// Output channels.
    pub(crate) outputs: usize,
    /// Side of the square kernel.
    pub(crate) kernel: usize,
    /// Stride in both directions.
    pub(crate) stride: usize,
    /// Rows and columns of zeros on each side of the input.
    pub(crate) padding: usize,
    /// `[outputs, inputs, kernel, kernel]` in the parameters.
    pub(crate) weight: Entry,
    /// Scale of the normalisation, `[outputs]` in the parameters.
    pub(crate) scale: Entry,
    /// Shift of the normalisation, `[outputs]` in the parameters.
    pub(crate) shift: Entry,
    /// Running mean, `[outputs]` in the statistics.
    pub(crate) mean: Entry,
    /// Running variance, `[outputs]` in the statistics.
    pub(crate) variance: Entry,
}

impl ConvNorm {
    /// The convolution's shape for `images` inputs of `(height, width)`.
    pub(crate) fn shape(&self, images: usize, (height, width): (usize, usize)) -> ConvShape {
        let Self { inputs, outputs, kernel, stride, padding, .. } = *self;
        ConvShape { images, height, width, inputs, outputs, kernel, stride, padding }
    }
}

/// A residual block: `relu(main(x) + shortcut(x))`. Each layer of `main` except the last is followed by a ReLU.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Name of the stage (`layer4`) if this is its last block.
    pub(crate) ends_stage: Option<String>,
    /// The convolutions of the main path in order; never empty.
    pub(crate) main: Vec<ConvNorm>,
    /// The projection of the shortcut, if the block changes the shape.
    pub(crate) downsample: Option<ConvNorm>,
}

/// The fully connected layer at the end. Its weight and bias are the last entries of the parameters.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Features per image.
    pub(crate) inputs: usize,
    /// `[classes, inputs]` in the parameters.
    pub(crate) weight: Entry,
    /// `[classes]` in the parameters.
    pub(crate) bias: Entry,
}

/// The layers of a network, with the position of each tensor in the flat buffers.
#[derive(Clone, Debug)]
pub(crate) struct LayerList {
    /// The first convolution. ReLU and 3x3 max pooling with stride 2 and padding 1 follow.
    pub(crate) stem: ConvNorm,
    /// The residual blocks in order. Average pooling over all positions follows.
    pub(crate) blocks: Vec<Block>,
    /// The classifier.
    pub(crate) head: Head,
    /// The layout of the parameters.
    pub(crate) parameters: TensorTable,
    /// The layout of the running statistics.
    pub(crate) statistics: TensorTable,
}

impl LayerList {
    /// Lists the layers of `architecture`, with a head of `classes` classes.
    pub(crate) fn new(architecture: &Architecture, classes: usize) -> Self {
        let mut tables = Tables::default();
        let Stem { channels, kernel, stride } = architecture.stem;
        let stem = tables.conv_norm("conv1", "bn1", [COLOURS, channels], kernel, stride);
        let mut inputs = channels;
        let mut blocks = Vec::new();
        for (i, stage) in architecture.stages.iter().enumerate() {
            for j in 0..stage.blocks {
                let name = format!("layer{}", i + 1);
                let stride = if j == 0 { stage.stride } else { 1 };
                let mut block = tables.block(&format!("{name}.{j}"), inputs, stage, stride);
                block.ends_stage = (j + 1 == stage.blocks).then_some(name);
                blocks.push(block);
                inputs = stage.out;
            }
        }
        let weight = tables.parameters.push("fc.weight", &[classes, inputs]);
        let bias = tables.parameters.push("fc.bias", &[classes]);
        let Tables { parameters, statistics } = tables;
        Self { stem, blocks, head: Head { inputs, weight, bias }, parameters, statistics }
    }

    /// Returns the index of the last block of the stage called `layer`.
    pub(crate) fn last_block_of(&self, layer: &str) -> Result<usize, ArchitectureError> {
        let names = || self.blocks.iter().map(|block| block.ends_stage.as_deref());
        names().position(|name| name == Some(layer)).ok_or_else(|| ArchitectureError::UnknownLayer {
            name: layer.to_owned(),
            known: names().flatten().collect::<Vec<_>>().join(", "),
        })
    }

    /// Iterates over the convolutions with their normalisations, in the order of the parameters.
    pub(crate) fn conv_norms(&self) -> impl Iterator<Item = &ConvNorm> {
        std::iter::once(&self.stem)
            .chain(self.blocks.iter().flat_map(|block| block.main.iter().chain(&block.downsample)))
    }
}

/// Checks that at least one architecture has a layer called `name` for Grad-CAM.
///
/// # Errors
/// [`ArchitectureError::UnknownLayer`], which lists the known layers.
pub fn check_layer(name: &str) -> Result<(), ArchitectureError> {
    let check =
        |architecture: &str| LayerList::new(&Architecture::by_name(architecture)?, 2).last_block_of(name).map(drop);
    ARCHITECTURES.into_iter().map(check).reduce(Result::or).unwrap_or(Ok(()))
}

/// The layouts of the flat buffers, as far as layers have been added.
#[derive(Default)]
struct Tables {
    parameters: TensorTable,
    statistics: TensorTable,
}

impl Tables {
    fn conv_norm(
        &mut self,
        conv: &str,
        norm: &str,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> ConvNorm {
        let shape = [outputs, inputs, kernel, kernel];
        ConvNorm {
            norm_name: norm.to_owned(),
            inputs,
            outputs,
            kernel,
            stride,
            padding: kernel / 2,
            weight: self.parameters.push(&format!("{conv}.weight"), &shape),
            scale: self.parameters.push(&format!("{norm}.weight"), &[outputs]),
            shift: self.parameters.push(&format!("{norm}.bias"), &[outputs]),
            mean: self.statistics.push(&format!("{norm}.running_mean"), &[outputs]),
            variance: self.statistics.push(&format!("{norm}.running_var"), &[outputs]),
        }
    }

    fn block(&mut self, name: &str, inputs: usize, stage: &Stage, stride: usize) -> Block {
        let mut layer = |i: usize, channels: [usize; 2], kernel, stride| {
            let (conv, norm) = (format!("{name}.conv{i}"), format!("{name}.bn{i}"));
            self.conv_norm(&conv, &norm, channels, kernel, stride)
        };
        let main = match stage.kind {
            BlockKind::Basic => {
                vec![layer(1, [inputs, stage.width], 3, stride), layer(2, [stage.width, stage.out], 3, 1)]
            }
            BlockKind::Bottleneck => vec![
                layer(1, [inputs, stage.width], 1, 1),
                layer(2, [stage.width, stage.width], 3, stride),
                layer(3, [stage.width, stage.out], 1, 1),
            ],
        };
        let downsample = (stride != 1 || inputs != stage.out).then(|| {
            let (conv, norm) = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
            self.conv_norm(&conv, &norm, [inputs, stage.out], 1, stride)
        });
        Block { ends_stage: None, main, downsample }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_network_has_one_to_two_million_parameters_and_keeps_the_resolution_in_its_stem() {
        let layers = LayerList::new(&Architecture::by_name("resnet14_patch").unwrap(), 2);
        assert!((1_000_000..2_000_000).contains(&layers.parameters.len()), "{}", layers.parameters.len());
        assert_eq!((layers.stem.kernel, layers.stem.stride, layers.stem.padding), (3, 1, 1));
        assert_eq!(layers.head.inputs, 768);
    }

    #[test]
    fn resnet50_has_as_many_tensors_as_torchvision() {
        let layers = LayerList::new(&Architecture::by_name("resnet50").unwrap(), 1000);
        // The expected counts come from torchvision.models.resnet50().
        assert_eq!(layers.parameters.len(), 25_557_032);
        assert_eq!(layers.parameters.entries().len(), 161);
        assert_eq!(layers.statistics.entries().len(), 106);
        assert_eq!(layers.conv_norms().count(), 53);
        let strided: Vec<_> = layers.conv_norms().filter(|c| c.stride == 2).map(|c| c.norm_name.as_str()).collect();
        let mut expected = vec!["bn1".to_owned()];
        for stage in 2..=4 {
            expected.push(format!("layer{stage}.0.bn2"));
            expected.push(format!("layer{stage}.0.downsample.1"));
        }
        assert_eq!(strided, expected);
    }

    #[test]
    fn has_as_many_parameters_as_torchvision() {
        // From torchvision.models.resnet18() and so on.
        for (name, count, tensors) in
            [("resnet18", 11_689_512, 62), ("resnet34", 21_797_672, 110), ("resnet101", 44_549_160, 314)]
        {
            let layers = LayerList::new(&Architecture::by_name(name).unwrap(), 1000);
            assert_eq!((layers.parameters.len(), layers.parameters.entries().len()), (count, tensors), "{name}");
        }
    }
}
