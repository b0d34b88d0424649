//! The layers below the head on a device, forward and backward. This module only queues work: it neither waits nor
//! allocates.

use kernels::batch_norm::{EPSILON, MOMENTUM};
use kernels::cuda::launch::{self, ResidualJoin, Shortcut};
use kernels::cuda::{Address, Engine, NULL, Result};

use super::workspace::{BlockSpace, Gradients, LayerSpace, Workspace};

/// Which statistics batch norm uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The statistics of the batch. They also update the running statistics. Backward computes the gradients of the
    /// parameters.
    Training,
    /// The running statistics. Backward computes the gradients of activations only.
    Evaluation,
}

/// The layers below the head, with their workspace.
pub(crate) struct Trunk<'a, E: Engine> {
    pub(crate) engine: &'a E,
    pub(crate) space: &'a Workspace<E>,
    pub(crate) mode: Mode,
}

impl<E: Engine> Trunk<'_, E> {
    /// Computes the features from the normalised pixels.
    pub(crate) fn forward(&self) -> Result<()> {
        let mut x = self.stem()?;
        for block in &self.space.blocks {
            self.block(block, x)?;
            x = block.output;
        }
        self.features(x)
    }

    /// Computes the first convolution, its batch norm and the max pooling. Returns the address of the output.
    pub(crate) fn stem(&self) -> Result<Address> {
        let Workspace { input, stem, pooled, argmax, .. } = self.space;
        self.conv_norm(stem, *input)?;
        launch::max_pool(self.engine, &stem.shape, stem.z, stem.coefficients, *pooled, *argmax)?;
        Ok(*pooled)
    }

    /// Computes the features: the average of `x`, the last block's output, over all positions.
    pub(crate) fn features(&self, x: Address) -> Result<()> {
        match self.space.blocks.last() {
            Some(last) => launch::average_pool(self.engine, &last.shape, x, self.space.features[0]),
            None => Ok(()),
        }
    }

    /// Computes a convolution and the coefficients of its batch norm.
    fn conv_norm(&self, layer: &LayerSpace<E>, x: Address) -> Result<()> {
        let (engine, shape, norm) = (self.engine, layer.shape.matrix(), &layer.values.norm);
        engine.convolve(&layer.convolution, self.space.scratch, x, layer.values.weight, layer.z)?;
        match self.mode {
            Mode::Training => {
                let sums = self.space.sums;
                launch::norm_statistics(engine, &shape, layer.z, sums)?;
                let constants = [EPSILON, MOMENTUM];
                launch::norm_batch_coefficients(engine, &shape, sums, norm, layer.coefficients, constants)
            }
            Mode::Evaluation => {
                launch::norm_running_coefficients(engine, shape.channels, norm, layer.coefficients, EPSILON)
            }
        }
    }

    fn block(&self, block: &BlockSpace<E>, x: Address) -> Result<()> {
        if let Some(layer) = &block.downsample {
            self.conv_norm(layer, x)?;
        }
        let shortcut = block
            .downsample
            .as_ref()
            .map_or(Shortcut::Identity(x), |layer| Shortcut::Projection(layer.z, layer.coefficients));
        let mut input = x;
        for (i, layer) in block.main.iter().enumerate() {
            self.conv_norm(layer, input)?;
            let last = i + 1 == block.main.len();
            let (shortcut, y) = if last { (shortcut, block.output) } else { (Shortcut::None, layer.y) };
            launch::norm_apply(self.engine, &layer.shape.matrix(), layer.z, layer.coefficients, shortcut, y)?;
            input = y;
        }
        Ok(())
    }

    /// Computes the gradients of all parameters of the trunk from the gradient of the features.
    pub(crate) fn backward(&self) -> Result<()> {
        let parts = self.backward_to(None)?;
        let Workspace { stem, argmax, input, gradients, .. } = self.space;
        launch::max_pool_backward(self.engine, &stem.shape, parts, *argmax, gradients.inner)?;
        self.gradient_of_z(stem, gradients.inner)?;
        self.weight_gradient(stem, *input, gradients.z)
    }

    /// Computes the gradient of the output of block `target`, or of the first block's input if `target` is `None`.
    /// Returns two buffers, whose sum is the gradient.
    pub(crate) fn backward_to(&self, target: Option<usize>) -> Result<[Address; 2]> {
        let Workspace { blocks, features, gradients, pooled, .. } = self.space;
        let mut parts = [gradients.block, NULL];
        if let Some(last) = blocks.last() {
            launch::average_pool_backward(self.engine, &last.shape, features[1], gradients.block)?;
        }
        let first = target.map_or(0, |target| target + 1);
        for i in (first..blocks.len()).rev() {
            let x = if i == 0 { *pooled } else { blocks[i - 1].output };
            self.block_backward(&blocks[i], x, parts)?;
            parts = [gradients.block, gradients.main];
        }
        Ok(parts)
    }

    /// Computes the gradient of a block's input `x` from the gradient of its output. Each is the sum of two buffers.
    /// Stores the gradient of `x` in [`Gradients::block`] and [`Gradients::main`].
    fn block_backward(&self, block: &BlockSpace<E>, x: Address, [a, b]: [Address; 2]) -> Result<()> {
        let Gradients { block: g, main, z, projection, inner } = self.space.gradients;
        let Some((last, inside)) = block.main.split_last() else { return Ok(()) };
        let (engine, shape) = (self.engine, block.shape.matrix());
        let downsample = block.downsample.as_ref();
        let join = ResidualJoin {
            a,
            b,
            y: block.output,
            main: (last.z, last.coefficients),
            projection: downsample.map_or((NULL, NULL), |layer| (layer.z, layer.coefficients)),
        };
        launch::residual_join_backward(engine, &shape, &join, g, self.space.sums)?;
        self.norm_gradient_coefficients(last, 1)?;
        launch::norm_backward_apply(engine, &shape, g, last.z, last.coefficients, false, z)?;
        if let Some(layer) = downsample {
            self.norm_gradient_coefficients(layer, 2)?;
            launch::norm_backward_apply(engine, &shape, g, layer.z, layer.coefficients, false, projection)?;
        }
        let mut layer = last;
        for below in inside.iter().rev() {
            self.weight_gradient(layer, below.y, z)?;
            self.input_gradient(layer, z, inner)?;
            self.gradient_of_z(below, inner)?;
            layer = below;
        }
        self.weight_gradient(layer, x, z)?;
        self.input_gradient(layer, z, main)?;
        if let Some(layer) = downsample {
            self.weight_gradient(layer, x, projection)?;
            self.input_gradient(layer, projection, g)?;
        }
        Ok(())
    }

    /// Computes the gradient of a convolution's output from the gradient `g` of its ReLU's output. Stores it in
    /// [`Gradients::z`].
    fn gradient_of_z(&self, layer: &LayerSpace<E>, g: Address) -> Result<()> {
        let (engine, shape) = (self.engine, layer.shape.matrix());
        if self.mode == Mode::Training {
            launch::norm_backward_sums(engine, &shape, g, layer.z, layer.coefficients, self.space.sums)?;
        }
        self.norm_gradient_coefficients(layer, 1)?;
        let to = self.space.gradients.z;
        launch::norm_backward_apply(engine, &shape, g, layer.z, layer.coefficients, true, to)
    }

    /// Computes the coefficients of a batch norm's gradient. In training mode, uses the sums of kind `kind` that the
    /// last kernel stored.
    fn norm_gradient_coefficients(&self, layer: &LayerSpace<E>, kind: usize) -> Result<()> {
        let (engine, shape, gradients) = (self.engine, layer.shape.matrix(), layer.values.norm_gradients);
        match self.mode {
            Mode::Training => {
                launch::norm_backward_coefficients(engine, &shape, self.space.sums, kind, layer.coefficients, gradients)
            }
            Mode::Evaluation => launch::norm_backward_running_coefficients(engine, shape.channels, layer.coefficients),
        }
    }

    fn weight_gradient(&self, layer: &LayerSpace<E>, x: Address, dz: Address) -> Result<()> {
        match self.mode {
            Mode::Training => {
                let (scratch, to) = (self.space.scratch, layer.values.weight_gradient);
                self.engine.weight_gradient(&layer.convolution, scratch, x, dz, to)
            }
            Mode::Evaluation => Ok(()),
        }
    }

    fn input_gradient(&self, layer: &LayerSpace<E>, dz: Address, to: Address) -> Result<()> {
        self.engine.input_gradient(&layer.convolution, self.space.scratch, layer.values.weight, dz, to)
    }
}
