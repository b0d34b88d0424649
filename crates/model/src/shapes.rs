//! The shape of each layer for one batch shape.

use kernels::{ConvShape, max_pool_side};

use crate::architecture::{Architecture, ArchitectureError};
use crate::batch::{BatchShape, InputError};
use crate::layers::LayerList;

/// The shapes of a network's convolutions for one batch shape.
#[derive(Clone, Debug)]
pub(crate) struct LayerShapes {
    /// The first convolution.
    pub(crate) stem: ConvShape,
    /// Rows and columns of the output of the max pooling after the stem.
    pub(crate) pooled: (usize, usize),
    /// The residual blocks in order.
    pub(crate) blocks: Vec<BlockShapes>,
}

/// The shapes of a residual block's convolutions.
#[derive(Clone, Debug)]
pub(crate) struct BlockShapes {
    /// The convolutions of the main path in order; never empty.
    pub(crate) main: Vec<ConvShape>,
    /// The projection of the shortcut.
    pub(crate) downsample: Option<ConvShape>,
}

impl LayerShapes {
    /// Computes the shapes of the layers of `layers`.
    pub(crate) fn new(layers: &LayerList, BatchShape { images, height, width }: BatchShape) -> Self {
        let stem = layers.stem.shape(images, (height, width));
        let (height, width) = stem.output();
        let pooled = (max_pool_side(height), max_pool_side(width));
        let mut side = pooled;
        let mut blocks = Vec::new();
        for block in &layers.blocks {
            let downsample = block.downsample.as_ref().map(|layer| layer.shape(images, side));
            let mut main = Vec::new();
            for layer in &block.main {
                let shape = layer.shape(images, side);
                side = shape.output();
                main.push(shape);
            }
            blocks.push(BlockShapes { main, downsample });
        }
        Self { stem, pooled, blocks }
    }

    /// Rejects shapes with which a batch norm cannot be trained: one value per channel has no variance.
    ///
    /// # Errors
    /// [`InputError::OneValuePerChannel`].
    pub(crate) fn check_trainable(&self, layers: &LayerList) -> Result<(), InputError> {
        match self.iter().zip(layers.conv_norms()).find(|(shape, _)| shape.output_pixels() == 1) {
            Some((_, layer)) => Err(InputError::OneValuePerChannel { layer: layer.norm_name.clone() }),
            None => Ok(()),
        }
    }

    /// Iterates over all convolutions, in the order of [`LayerList::conv_norms`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ConvShape> {
        std::iter::once(&self.stem).chain(self.blocks.iter().flat_map(BlockShapes::iter))
    }
}

impl BlockShapes {
    /// Returns the last convolution of the main path. Its output has the shape of the block's output.
    pub(crate) fn output(&self) -> &ConvShape {
        &self.main[self.main.len() - 1]
    }

    /// Iterates over the main path, then the projection.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ConvShape> {
        self.main.iter().chain(&self.downsample)
    }
}

/// Returns the shapes of all convolutions of an architecture for a batch of `images` images of `height` x `width`
/// pixels. The first convolution reads the pixels.
///
/// # Errors
/// [`ArchitectureError::Unknown`].
pub fn convolution_shapes(
    architecture: &str,
    [images, height, width]: [usize; 3],
) -> Result<Vec<ConvShape>, ArchitectureError> {
    let layers = LayerList::new(&Architecture::by_name(architecture)?, 2);
    Ok(LayerShapes::new(&layers, BatchShape { images, height, width }).iter().copied().collect())
}
