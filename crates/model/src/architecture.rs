//! The supported architectures.
//!
//! ResNet is He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), in version 1.5, as in
//! torchvision: the stride of a bottleneck is in its 3x3 convolution, not in its first 1x1 convolution.

use crate::batch::Normalisation;

/// The names that [`Architecture::by_name`] accepts.
pub(crate) const ARCHITECTURES: [&str; 5] = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet14_patch"];

/// An invalid network configuration, or an unknown layer.
#[derive(Debug, thiserror::Error)]
pub enum ArchitectureError {
    /// No architecture has the name.
    #[error("unknown architecture `{name}`: known are {known}")]
    Unknown {
        /// The given name.
        name: String,
        /// The known names, comma separated.
        known: String,
    },
    /// The number of classes is not between 2 and 256. Labels are bytes.
    #[error("a classifier needs between 2 and 256 classes, but {0} were given")]
    Classes(usize),
    /// The mean or the standard deviation is not finite, or the standard deviation is not positive.
    #[error(
        "pixels cannot be normalised with mean {:?} and std {:?}: all must be finite, and std above zero",
        .0.mean, .0.std
    )]
    Normalisation(Normalisation),
    /// No layer has the name.
    #[error("unknown layer `{name}`: known are {known}")]
    UnknownLayer {
        /// The given name.
        name: String,
        /// The known names, comma separated.
        known: String,
    },
    /// The CUDA kernels read channels in packs of eight.
    #[cfg(feature = "cuda")]
    #[error("`{layer}` has {channels} channels, but the CUDA kernels need a multiple of {multiple}")]
    Channels {
        /// The normalisation layer.
        layer: String,
        /// Its channels.
        channels: usize,
        /// The required divisor.
        multiple: usize,
    },
}

/// The dimensions of a ResNet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    /// The first convolution.
    pub(crate) stem: Stem,
    /// The stages `layer1`, `layer2` …
    pub(crate) stages: Vec<Stage>,
}

/// The first convolution. 3x3 max pooling with stride 2 follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stem {
    /// Output channels.
    pub(crate) channels: usize,
    /// Side of the kernel.
    pub(crate) kernel: usize,
    /// Stride in both directions.
    pub(crate) stride: usize,
}

/// The main path of a residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Two 3x3 convolutions, the first one with the stride.
    Basic,
    /// A 1x1, a 3x3 with the stride, and a 1x1 convolution.
    Bottleneck,
}

/// One stage of residual blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    /// The kind of its blocks.
    pub(crate) kind: BlockKind,
    /// Number of blocks.
    pub(crate) blocks: usize,
    /// Channels of the convolutions inside a block.
    pub(crate) width: usize,
    /// Output channels of each block.
    pub(crate) out: usize,
    /// Stride of the first block. The others have stride 1.
    pub(crate) stride: usize,
}

impl Architecture {
    /// Returns the architecture called `name`.
    pub(crate) fn by_name(name: &str) -> Result<Self, ArchitectureError> {
        match name {
            "resnet18" => Ok(Self::basic_blocks(64, &[2, 2, 2, 2])),
            "resnet34" => Ok(Self::basic_blocks(64, &[3, 4, 6, 3])),
            "resnet50" => Ok(Self::bottlenecks(64, &[3, 4, 6, 3])),
            "resnet101" => Ok(Self::bottlenecks(64, &[3, 4, 23, 3])),
            // For windows of 64 pixels. A stem without stride keeps the traces between neighbouring pixels.
            "resnet14_patch" => {
                let stem = Stem { channels: 24, kernel: 3, stride: 1 };
                Ok(Self { stem, ..Self::bottlenecks(stem.channels, &[1, 1, 1, 1]) })
            }
            _ => Err(ArchitectureError::Unknown { name: name.to_owned(), known: ARCHITECTURES.join(", ") }),
        }
    }

    /// Returns a ResNet with the 7x7 stem of He et al. with `channels` channels, and `blocks[i]` bottlenecks in stage
    /// `i`. Each stage doubles the width of the one before, and has four times as many output channels as its width.
    pub(crate) fn bottlenecks(channels: usize, blocks: &[usize]) -> Self {
        Self::of_blocks(BlockKind::Bottleneck, channels, blocks, 4)
    }

    /// Returns a ResNet like [`Architecture::bottlenecks`] of basic blocks, which have as many output channels as their
    /// width.
    pub(crate) fn basic_blocks(channels: usize, blocks: &[usize]) -> Self {
        Self::of_blocks(BlockKind::Basic, channels, blocks, 1)
    }

    fn of_blocks(kind: BlockKind, channels: usize, blocks: &[usize], expansion: usize) -> Self {
        let stage = |(i, &blocks): (usize, &usize)| Stage {
            kind,
            blocks,
            width: channels << i,
            out: (channels << i) * expansion,
            stride: if i == 0 { 1 } else { 2 },
        };
        let stem = Stem { channels, kernel: 7, stride: 2 };
        Self { stem, stages: blocks.iter().enumerate().map(stage).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_unknown_name_and_lists_known_ones() {
        let error = Architecture::by_name("resnet51").unwrap_err().to_string();
        assert!(error.contains("resnet51") && error.contains("resnet50"), "{error}");
    }
}
