//! What goes into a network, pixels and how they are normalised, and what comes out.

use artifacts::schema::MINIMUM_SIDE;

use crate::error::{Error, Result};

/// Mean and standard deviation per colour channel, of pixels scaled to 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Mean of red, green and blue.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f32; 3],
}

impl Normalisation {
    /// Checks that every byte becomes a number.
    ///
    /// # Errors
    /// [`Error::Normalisation`].
    pub fn check(&self) -> Result<()> {
        let sound =
            self.mean.iter().all(|mean| mean.is_finite()) && self.std.iter().all(|std| std.is_finite() && *std > 0.0);
        if sound { Ok(()) } else { Err(Error::Normalisation(*self)) }
    }
}

impl Default for Normalisation {
    /// ImageNet's, which torchvision's and timm's ResNet weights were trained with.
    fn default() -> Self {
        Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }
}

/// Images of one size, borrowed: `data` is `[n, height, width, 3]`, row-major RGB bytes.
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

/// Images and their size: what a workspace is planned for.
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
    /// Its shape.
    pub(crate) fn shape(&self) -> BatchShape {
        BatchShape { images: self.n, height: self.height, width: self.width }
    }

    /// Checks that the batch is not empty, not too small and as long as its shape says.
    ///
    /// # Errors
    /// [`Error::EmptyBatch`], [`Error::ImageTooSmall`] or [`Error::BatchBytes`].
    pub fn check(&self) -> Result<()> {
        let Self { data, n, height, width } = *self;
        if n == 0 {
            return Err(Error::EmptyBatch);
        }
        if height.min(width) < MINIMUM_SIDE {
            return Err(Error::ImageTooSmall { height, width, minimum: MINIMUM_SIDE });
        }
        let expected = [height, width, 3].iter().try_fold(n, |size, &side| size.checked_mul(side));
        if expected != Some(data.len()) {
            let expected = expected.unwrap_or(usize::MAX);
            return Err(Error::BatchBytes { n, height, width, expected, actual: data.len() });
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

    /// The scores of each image in turn.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }
}

/// What a training step tells about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutput {
    /// Mean cross-entropy of the batch, in nats.
    pub loss: f32,
    /// The scores that the loss was computed from, in training mode.
    pub logits: Logits,
}

/// A Grad-CAM heat map: `[height, width]`, not negative, at the resolution of the layer it was taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Row-major values; zero everywhere where nothing speaks for the class.
    pub values: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}
