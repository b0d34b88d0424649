//! Shapes of convolutions and of max pooling.

/// The shape of a convolution with a square kernel, for one batch size. Tensors are `[images, height, width,
/// channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConvShape {
    /// Number of images.
    pub images: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Rows and columns of zeros on each side of the input.
    pub padding: usize,
}

impl ConvShape {
    /// Rows and columns of the input.
    #[must_use]
    pub fn input(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Rows and columns of the output.
    #[must_use]
    pub fn output(&self) -> (usize, usize) {
        let side = |side: usize| (side + 2 * self.padding - self.kernel) / self.stride + 1;
        (side(self.height), side(self.width))
    }

    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.images * self.height * self.width * self.inputs
    }

    /// Pixels of the output over all images: the number of values per channel.
    #[must_use]
    pub fn output_pixels(&self) -> usize {
        let (height, width) = self.output();
        self.images * height * width
    }

    /// Elements of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output_pixels() * self.outputs
    }

    /// Elements of the weight.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.outputs * self.inputs * self.kernel * self.kernel
    }

    /// Elements of the input with its padding.
    #[must_use]
    pub fn padded_input_len(&self) -> usize {
        self.images * (self.height + 2 * self.padding) * (self.width + 2 * self.padding) * self.inputs
    }
}

/// Returns the height (or width) of the output of 3x3 max pooling with stride 2 and padding 1, from the height (or
/// width) of the input.
#[must_use]
pub fn max_pool_side(side: usize) -> usize {
    side.div_ceil(2)
}

/// The gradients that a convolution is prepared to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gradients {
    /// The gradient of the input.
    pub input: bool,
    /// The gradient of the weight.
    pub weight: bool,
}
