//! The input and output of a network: pixels, their normalisation, logits and heat maps.

use artifacts::schema::MINIMUM_SIDE;

/// An invalid batch, label or gradient.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The batch is empty.
    #[error("the batch holds no image")]
    EmptyBatch,
    /// The number of bytes is not n x h x w x 3.
    #[error("a batch of {n} images of {height}x{width} RGB pixels needs {expected} bytes, but {actual} were given")]
    BatchBytes {
        /// Images in the batch.
        n: usize,
        /// Rows of each image.
        height: usize,
        /// Columns of each image.
        width: usize,
        /// `n * height * width * 3`, or `usize::MAX` where that overflows.
        expected: usize,
        /// Length of the slice.
        actual: usize,
    },
    /// A side of the images is shorter than [`MINIMUM_SIDE`].
    #[error("images of {height}x{width} are too small: each side must be at least {minimum}")]
    ImageTooSmall {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The smallest accepted side.
        minimum: usize,
    },
    /// The number of labels (for Grad-CAM, of classes) differs from the number of images.
    #[error("the batch has {images} images but {labels} labels")]
    LabelCount {
        /// Images in the batch.
        images: usize,
        /// Labels or classes given.
        labels: usize,
    },
    /// The head has no such class.
    #[error("label {label} of image {index} is out of range: the network has {classes} classes")]
    LabelRange {
        /// Position in the batch.
        index: usize,
        /// The class index given.
        label: usize,
        /// Classes of the head.
        classes: usize,
    },
    /// A layer has one value per channel, from which batch norm cannot compute a variance.
    #[error("batch norm cannot train on one value per channel in `{layer}`: use a larger batch or larger images")]
    OneValuePerChannel {
        /// The first normalisation layer with a single value per channel.
        layer: String,
    },
    /// A gradient does not have the shape of the features of the last forward pass.
    #[error("`{what}` has shape {actual:?} but {expected:?} is needed")]
    Shape {
        /// The tensor's name.
        what: String,
        /// The required shape.
        expected: Vec<usize>,
        /// The given shape.
        actual: Vec<usize>,
    },
}

/// Mean and standard deviation of each colour channel, for pixels scaled to 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Mean of red, green and blue.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f32; 3],
}

impl Default for Normalisation {
    /// ImageNet's statistics, which the ResNet weights of torchvision and timm were trained with.
    fn default() -> Self {
        Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }
}

/// Borrowed images of one size: `data` holds RGB bytes, `[n, height, width, 3]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct PixelBatch<'a> {
    /// `n * height * width * 3` bytes.
    pub data: &'a [u8],
    /// Number of images.
    pub n: usize,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
}

/// The number of images in a batch and their size. Workspaces are allocated per batch shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchShape {
    /// Number of images.
    pub(crate) images: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Columns.
    pub(crate) width: usize,
}

impl PixelBatch<'_> {
    /// Returns the number of images and their size.
    pub(crate) fn shape(&self) -> BatchShape {
        BatchShape { images: self.n, height: self.height, width: self.width }
    }

    /// Checks that the batch is not empty, that the images are not too small, and that the bytes match the shape.
    ///
    /// # Errors
    /// [`InputError::EmptyBatch`], [`InputError::ImageTooSmall`] or [`InputError::BatchBytes`].
    pub fn check(&self) -> Result<(), InputError> {
        let Self { data, n, height, width } = *self;
        if n == 0 {
            return Err(InputError::EmptyBatch);
        }
        if height.min(width) < MINIMUM_SIDE {
            return Err(InputError::ImageTooSmall { height, width, minimum: MINIMUM_SIDE });
        }
        let expected = [height, width, 3].iter().try_fold(n, |size, &side| size.checked_mul(side));
        if expected != Some(data.len()) {
            let expected = expected.unwrap_or(usize::MAX);
            return Err(InputError::BatchBytes { n, height, width, expected, actual: data.len() });
        }
        Ok(())
    }
}

/// One row of class scores per image, before the softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// `[n, classes]`, row-major.
    pub values: Vec<f32>,
    /// Scores per image.
    pub classes: usize,
}

impl Logits {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.classes
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Iterates over the scores of each image.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }
}

/// The result of a training step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutput {
    /// Mean cross-entropy of the batch, in nats.
    pub loss: f32,
    /// The logits in training mode, from which the loss was computed.
    pub logits: Logits,
}

/// A Grad-CAM heat map: non-negative values, `[height, width]`, at the resolution of the explained layer.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Row-major values, all zero if no part of the image is evidence for the class.
    pub values: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}
