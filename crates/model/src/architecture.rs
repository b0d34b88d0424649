//! A network as data: the list of layers that every back end walks.
//!
//! ResNet is He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385). Version 1.5, which torchvision
//! has, moves the stride of a bottleneck from its first 1x1 convolution to its 3x3. Names are torchvision's.

use kernels::ConvShape;
use kernels::pixels::COLOURS;

use crate::error::{Error, Result};
use crate::parameters::{Entry, Table};

/// The names `Architecture::by_name` knows.
pub(crate) const ARCHITECTURES: [&str; 1] = ["resnet50"];

/// The numbers that tell one ResNet of bottlenecks from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    /// Channels after the stem.
    pub(crate) stem: usize,
    /// The stages `layer1`, `layer2` …
    pub(crate) stages: Vec<Stage>,
}

/// One stage of bottlenecks; the first bottleneck carries the stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    /// Number of bottlenecks.
    pub(crate) blocks: usize,
    /// Channels inside a bottleneck.
    pub(crate) width: usize,
    /// Channels between bottlenecks.
    pub(crate) out: usize,
    /// Stride of the first bottleneck.
    pub(crate) stride: usize,
}

impl Architecture {
    /// The architecture that `name` stands for.
    pub(crate) fn by_name(name: &str) -> Result<Self> {
        match name {
            "resnet50" => Ok(Self::bottlenecks(64, &[3, 4, 6, 3])),
            _ => Err(Error::UnknownArchitecture { name: name.to_owned(), known: ARCHITECTURES.join(", ") }),
        }
    }

    /// Stages of `blocks` bottlenecks whose width doubles as the resolution halves; outputs are four times as wide.
    pub(crate) fn bottlenecks(stem: usize, blocks: &[usize]) -> Self {
        let stage = |(i, &blocks): (usize, &usize)| Stage {
            blocks,
            width: stem << i,
            out: (stem << i) * 4,
            stride: if i == 0 { 1 } else { 2 },
        };
        Self { stem, stages: blocks.iter().enumerate().map(stage).collect() }
    }
}

/// Checks that there is a layer of this name in some architecture, for Grad-CAM to look at.
///
/// # Errors
/// [`Error::UnknownLayer`], with the known ones.
pub fn check_layer(name: &str) -> Result<()> {
    let has = |architecture: &str| Plan::new(&Architecture::by_name(architecture)?, 2).end_of(name).map(drop);
    // Of several the last one's refusal is as good as any.
    ARCHITECTURES.into_iter().map(has).reduce(Result::or).unwrap_or(Ok(()))
}

/// A convolution without bias, followed by batch normalisation.
#[derive(Clone, Debug)]
pub(crate) struct ConvNorm {
    /// The normalisation's name, such as `layer1.0.bn2`, for messages.
    pub(crate) norm_name: String,
    /// Channels that go in.
    pub(crate) inputs: usize,
    /// Channels that come out.
    pub(crate) outputs: usize,
    /// Side of the square kernel.
    pub(crate) kernel: usize,
    /// Stride in both directions.
    pub(crate) stride: usize,
    /// Zeros around the input.
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

/// A residual block: `relu(main(x) + shortcut(x))`, ReLU after each of `main` but the last.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Name of the stage the block ends, if it is its last: `layer4`.
    pub(crate) ends_stage: Option<String>,
    /// The convolutions in order.
    pub(crate) main: Vec<ConvNorm>,
    /// The projection of the shortcut where the shape changes.
    pub(crate) downsample: Option<ConvNorm>,
}

/// The fully connected layer at the end.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Features per image.
    pub(crate) inputs: usize,
    /// `[classes, inputs]` in the parameters.
    pub(crate) weight: Entry,
    /// `[classes]` in the parameters.
    pub(crate) bias: Entry,
}

/// The list of layers with the place of each tensor in the flat buffers.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// 7x7 with stride 2, followed by ReLU and 3x3 max pooling with stride 2 and padding 1.
    pub(crate) stem: ConvNorm,
    /// The residual blocks in order, followed by the average over all positions.
    pub(crate) blocks: Vec<Block>,
    /// The classifier.
    pub(crate) head: Head,
    /// Names, shapes and offsets of everything that is trained.
    pub(crate) parameters: Table,
    /// Names, shapes and offsets of the running statistics.
    pub(crate) statistics: Table,
}

impl Plan {
    /// The block whose output is that of the stage `layer`.
    pub(crate) fn end_of(&self, layer: &str) -> Result<usize> {
        let names = || self.blocks.iter().map(|block| block.ends_stage.as_deref());
        names().position(|name| name == Some(layer)).ok_or_else(|| Error::UnknownLayer {
            name: layer.to_owned(),
            known: names().flatten().collect::<Vec<_>>().join(", "),
        })
    }

    /// Lays out `architecture` with a head of `classes`.
    pub(crate) fn new(architecture: &Architecture, classes: usize) -> Self {
        let mut tables = Tables::default();
        let stem = tables.conv_norm("conv1", "bn1", [COLOURS, architecture.stem], 7, 2);
        let mut inputs = architecture.stem;
        let mut blocks = Vec::new();
        for (i, stage) in architecture.stages.iter().enumerate() {
            for j in 0..stage.blocks {
                let name = format!("layer{}", i + 1);
                let stride = if j == 0 { stage.stride } else { 1 };
                let mut block = tables.bottleneck(&format!("{name}.{j}"), inputs, stage, stride);
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

    /// Every convolution with its normalisation, in the order of the parameters.
    pub(crate) fn conv_norms(&self) -> impl Iterator<Item = &ConvNorm> {
        std::iter::once(&self.stem)
            .chain(self.blocks.iter().flat_map(|block| block.main.iter().chain(&block.downsample)))
    }
}

#[derive(Default)]
struct Tables {
    parameters: Table,
    statistics: Table,
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

    fn bottleneck(&mut self, name: &str, inputs: usize, stage: &Stage, stride: usize) -> Block {
        let mut layer = |i: usize, channels: [usize; 2], kernel, stride| {
            let (conv, norm) = (format!("{name}.conv{i}"), format!("{name}.bn{i}"));
            self.conv_norm(&conv, &norm, channels, kernel, stride)
        };
        let main = vec![
            layer(1, [inputs, stage.width], 1, 1),
            layer(2, [stage.width, stage.width], 3, stride),
            layer(3, [stage.width, stage.out], 1, 1),
        ];
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
    fn resnet50_has_torchvisions_tensors() {
        let plan = Plan::new(&Architecture::by_name("resnet50").unwrap(), 1000);
        // Counted with torchvision.models.resnet50(): parameters, and running means and variances.
        assert_eq!(plan.parameters.len(), 25_557_032);
        assert_eq!(plan.parameters.entries().len(), 161);
        assert_eq!(plan.statistics.entries().len(), 106);
        assert_eq!(plan.conv_norms().count(), 53);
        let strided: Vec<_> = plan.conv_norms().filter(|c| c.stride == 2).map(|c| c.norm_name.as_str()).collect();
        let mut expected = vec!["bn1".to_owned()];
        for stage in 2..=4 {
            expected.push(format!("layer{stage}.0.bn2"));
            expected.push(format!("layer{stage}.0.downsample.1"));
        }
        assert_eq!(strided, expected);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = Architecture::by_name("resnet51").unwrap_err().to_string();
        assert!(error.contains("resnet51") && error.contains("resnet50"), "{error}");
    }
}
