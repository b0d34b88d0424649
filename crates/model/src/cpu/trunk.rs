//! The layers below the head, forward and backward.

use std::rc::Rc;

use exchange::Exchange;
use kernels::cpu::{
    Affine, Epilogue, GradientSums, Isa, MaskByNorm, Moments, Norm, Shortcut, Statistics, Sums, Tensor, Values, Write,
    average_pool, average_pool_backward, average_pool_backward_masked, normalise_pixels, residual_add_relu,
};
use kernels::pixels::ByteValues;

use super::workspace::{BlockSpace, LayerInput, LayerSpace, Scratch, StoredOperands, Workspace};
use crate::batch::PixelBatch;
use crate::error::{Error, Result};
use crate::grad_cam::GradCam;
use crate::layers::{Block, ConvNorm, LayerList};

/// Which statistics batch norm uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The statistics of the batch. They also update the running statistics.
    Training,
    /// The running statistics.
    Evaluation,
}

/// The layers below the head, with the workspace of the last batch shape.
#[derive(Debug)]
pub(crate) struct Trunk {
    isa: Isa,
    workspace: Option<Workspace>,
    /// The other processes, if batch norm has the statistics of the slices of all processes.
    exchange: Option<Rc<dyn Exchange>>,
    /// The mode of the last forward pass, or `None` if it failed.
    mode: Option<Mode>,
}

impl Trunk {
    /// Creates a trunk without buffers. The first batch allocates them.
    pub(crate) fn new(isa: Isa) -> Self {
        Self { isa, workspace: None, exchange: None, mode: None }
    }

    /// Lets batch norm use the statistics of the slices of all processes together.
    pub(crate) fn synchronise(&mut self, exchange: Rc<dyn Exchange>) {
        self.exchange = Some(exchange);
    }

    /// Computes the features of a batch. In training mode, updates `statistics`.
    pub(crate) fn forward(
        &mut self,
        layers: &LayerList,
        batch: &PixelBatch<'_>,
        bytes: &ByteValues,
        parameters: &[f32],
        statistics: &mut [f32],
        mode: Mode,
    ) -> Result<()> {
        self.mode = None;
        let shape = batch.shape();
        // Free the old workspace before allocating a new one, to limit the peak memory.
        self.workspace.take_if(|workspace| workspace.shape != shape);
        let workspace = match &mut self.workspace {
            Some(workspace) => workspace,
            none => none.insert(Workspace::new(layers, shape, self.isa)?),
        };
        let Workspace { input, stem, pool, pooled, argmax, blocks, features, stored, scratch, .. } = workspace;
        normalise_pixels(batch.data, [batch.height, batch.width], bytes, layers.stem.padding, input.slice_mut());
        let exchange = self.exchange.as_deref();
        let mut pass = Forward { isa: self.isa, parameters, statistics, mode, exchange, stored, scratch };
        pass.conv_norm(&layers.stem, stem, LayerInput::Values(input.slice().into()));
        pool.forward(self.isa, &stem.norm, stem.z.values(), pooled.values_mut(), argmax);
        let mut x = pooled.values();
        let (mut channels, mut positions) = (0, 0);
        for (block, space) in layers.blocks.iter().zip(blocks.iter_mut()) {
            pass.block(block, space, x);
            x = space.output.values();
            (channels, positions) = (space.channels, space.side.0 * space.side.1);
        }
        average_pool(self.isa, x, positions, channels, features);
        self.mode = Some(mode);
        Ok(())
    }

    /// Returns the features of the last forward pass, `[n, channels]`.
    pub(crate) fn features(&self) -> &[f32] {
        self.workspace.as_ref().map_or(&[], |workspace| &workspace.features)
    }

    /// Computes the gradients of all parameters of the trunk in the last forward pass from the gradient of its
    /// features.
    ///
    /// # Errors
    /// [`Error::NoForward`] if that pass was not in training mode.
    pub(crate) fn backward(
        &mut self,
        layers: &LayerList,
        parameters: &[f32],
        features_gradient: &[f32],
        gradients: &mut [f32],
    ) -> Result<()> {
        let (Some(workspace), Some(Mode::Training)) = (self.workspace.as_mut(), self.mode) else {
            return Err(Error::NoForward);
        };
        let Workspace { input, stem, pool, pooled, argmax, blocks, between, inside, stored, scratch, .. } = workspace;
        let exchange = self.exchange.as_deref();
        let mut pass = Backward { isa: self.isa, parameters, gradients: Some(gradients), exchange, stored, scratch };
        pass.blocks(&layers.blocks, blocks, 0, pooled, features_gradient, between, inside);
        let [g, spare] = between;
        let (z, sums) = (stem.z.values(), pass.scratch.sums.slice_mut());
        let to = &mut spare.values_mut();
        pool.backward(self.isa, &stem.norm, z, (g.values(), argmax), to.slice_mut(0..pool.input_len()), sums);
        pass.norm(&layers.stem, stem, pool.images * pool.height, 2, 1);
        let pixels = LayerInput::Values(input.slice().into());
        pass.layer(&layers.stem, stem, pixels, spare.values(), &Write { accumulate: false }, g);
        Ok(())
    }

    /// Computes the gradient of the output of block `block` in the last forward pass from the gradient of its features.
    /// Returns the output and the gradient.
    ///
    /// # Errors
    /// [`Error::NoForward`] if that pass was not in evaluation mode.
    pub(crate) fn grad_cam(
        &mut self,
        layers: &LayerList,
        parameters: &[f32],
        features_gradient: &[f32],
        block: usize,
    ) -> Result<GradCam> {
        let (Some(workspace), Some(Mode::Evaluation)) = (self.workspace.as_mut(), self.mode) else {
            return Err(Error::NoForward);
        };
        let Workspace { blocks, between, inside, stored, scratch, pooled, .. } = workspace;
        let mut pass = Backward { isa: self.isa, parameters, gradients: None, exchange: None, stored, scratch };
        pass.blocks(&layers.blocks, blocks, block + 1, pooled, features_gradient, between, inside);
        let BlockSpace { output, side, channels, .. } = &blocks[block];
        let activations = output.values().to_f32();
        let gradients = between[0].values().slice(0..activations.len()).to_f32();
        Ok(GradCam { activations, gradients, side: *side, channels: *channels })
    }
}

/// A forward pass.
struct Forward<'a> {
    isa: Isa,
    parameters: &'a [f32],
    statistics: &'a mut [f32],
    mode: Mode,
    exchange: Option<&'a dyn Exchange>,
    stored: &'a mut StoredOperands,
    scratch: &'a mut Scratch,
}

impl Forward<'_> {
    /// Computes a convolution and the coefficients of its batch norm.
    fn conv_norm(&mut self, layer: &ConvNorm, space: &mut LayerSpace, input: LayerInput<'_>) {
        let LayerSpace { convolution, norm, z, .. } = space;
        let Scratch { packed, sums, .. } = &mut *self.scratch;
        convolution.pack_forward(&self.parameters[layer.weight.range()], packed.slice_mut());
        let affine =
            Affine { weight: &self.parameters[layer.scale.range()], bias: &self.parameters[layer.shift.range()] };
        let product = &convolution.forward;
        let input = &self.stored.input(layer, input);
        let (packed, z, sums) = (packed.slice(), z.values_mut(), sums.slice_mut());
        match self.mode {
            Mode::Training => {
                product.run(input, packed, &Statistics, z, sums);
                let mut moments = Moments::new(sums, &product.unit_pixels(), layer.outputs);
                if let Some(exchange) = self.exchange {
                    moments = moments.merged(|values| exchange.sum(values));
                }
                // The variance follows the mean in the flat buffer.
                let running = &mut self.statistics[layer.mean.range().start..layer.variance.range().end];
                let (mean, variance) = running.split_at_mut(layer.outputs);
                norm.set_from_batch(affine, &moments, mean, variance);
            }
            Mode::Evaluation => {
                product.run(input, packed, &Write { accumulate: false }, z, sums);
                let (mean, variance) = (&self.statistics[layer.mean.range()], &self.statistics[layer.variance.range()]);
                norm.set_from_running(affine, mean, variance);
            }
        }
    }

    fn block(&mut self, block: &Block, space: &mut BlockSpace, x: Values<'_>) {
        let BlockSpace { main, downsample, output, .. } = space;
        for (i, layer) in block.main.iter().enumerate() {
            let (before, rest) = main.split_at_mut(i);
            let input = before.last().map_or(LayerInput::Values(x), LayerInput::Layer);
            self.conv_norm(layer, &mut rest[0], input);
        }
        if let (Some(layer), Some(space)) = (&block.downsample, downsample.as_mut()) {
            self.conv_norm(layer, space, LayerInput::Values(x));
        }
        let shortcut = downsample.as_ref().map_or(Shortcut::Identity(x), |layer| Shortcut::Projection(layer.branch()));
        if let Some(last) = main.last() {
            residual_add_relu(self.isa, last.branch(), shortcut, output.values_mut());
        }
    }
}

/// A backward pass.
struct Backward<'a> {
    isa: Isa,
    parameters: &'a [f32],
    /// Gradients of all parameters. `None` in evaluation mode, where only the gradients of activations are computed.
    gradients: Option<&'a mut [f32]>,
    exchange: Option<&'a dyn Exchange>,
    stored: &'a mut StoredOperands,
    scratch: &'a mut Scratch,
}

impl Backward<'_> {
    /// Computes the gradient of the input of block `first` from the gradient of the features, and stores it in
    /// `between[0]`. `pooled` is the input of block 0.
    #[expect(clippy::too_many_arguments, reason = "disjoint parts of a workspace")]
    fn blocks(
        &mut self,
        blocks: &[Block],
        spaces: &mut [BlockSpace],
        first: usize,
        pooled: &Tensor,
        features_gradient: &[f32],
        [g, spare]: &mut [Tensor; 2],
        inside: &mut [Tensor; 2],
    ) {
        let Some(last) = spaces.last_mut() else { return };
        if first == blocks.len() {
            let to = &mut g.values_mut();
            let to = to.slice_mut(0..features_gradient.len() * last.positions());
            average_pool_backward(self.isa, features_gradient, last.positions(), last.channels, to);
            return;
        }
        let (mask, sums) = (last.mask(), self.scratch.sums.slice_mut());
        let to = &mut g.values_mut();
        let to = to.slice_mut(0..features_gradient.len() * last.positions());
        let units = average_pool_backward_masked(self.isa, features_gradient, last.positions(), &mask, to, sums);
        self.norms_of_block(&blocks[blocks.len() - 1], last, units);
        for i in (first..blocks.len()).rev() {
            let (before, rest) = spaces.split_at_mut(i);
            let (block, space) = (&blocks[i], &mut rest[0]);
            let inner = self.inside_of_block(block, space, g, inside);
            match before.last_mut() {
                Some(previous) if i > first => {
                    let (x, mask) = (previous.output.values(), previous.mask());
                    let units = self.input_of_block(block, space, x, g, inner, spare, &mask);
                    self.norms_of_block(&blocks[i - 1], previous, units);
                }
                previous => {
                    let x = previous.map_or(pooled.values(), |previous| previous.output.values());
                    self.input_of_block(block, space, x, g, inner, spare, &Write { accumulate: true });
                }
            }
            if block.downsample.is_some() {
                std::mem::swap(g, spare);
            }
        }
    }

    /// Computes the coefficients of a batch norm's gradient from the sums that the last kernel stored: `kinds` sums per
    /// channel for each of `units` units of work. Kind 0 is the sum of the gradient, and kind `kind` the sum of the
    /// gradient times `z - mean`.
    fn norm(&mut self, layer: &ConvNorm, space: &mut LayerSpace, units: usize, kinds: usize, kind: usize) {
        let Some(gradients) = self.gradients.as_deref_mut() else {
            space.norm.backward_running();
            return;
        };
        let channels = layer.outputs;
        let values = &self.scratch.sums.slice()[..units * kinds * channels];
        let sums = |kind| Sums { values, kinds, channels, kind };
        // The bias follows the weight in the flat buffer.
        let range = layer.scale.range().start..layer.shift.range().end;
        let (weight, bias) = gradients[range].split_at_mut(channels);
        let mut sums = GradientSums::new(sums(0), sums(kind));
        space.norm.affine_gradient(&sums, weight, bias);
        if let Some(exchange) = self.exchange {
            let share = space.pixels as f64 / space.norm.pixels;
            sums = sums.merged(share, |values| exchange.sum(values));
        }
        space.norm.backward_batch(&sums);
    }

    /// Computes the coefficients of the gradients of a block's last batch norm and of its projection's.
    fn norms_of_block(&mut self, block: &Block, space: &mut BlockSpace, units: usize) {
        if let (Some(layer), Some(space)) = (block.main.last(), space.main.last_mut()) {
            self.norm(layer, space, units, 3, 1);
        }
        if let (Some(layer), Some(space)) = (&block.downsample, &mut space.downsample) {
            self.norm(layer, space, units, 3, 2);
        }
    }

    /// Computes the gradients of a convolution's weights and of its input, from the gradient `g` of its batch norm's
    /// output. Writes the latter to `to`, unless the input is pixels. Returns the number of units of work that stored
    /// sums.
    fn layer(
        &mut self,
        layer: &ConvNorm,
        space: &LayerSpace,
        input: LayerInput<'_>,
        g: Values<'_>,
        epilogue: &impl Epilogue,
        to: &mut Tensor,
    ) -> usize {
        let Scratch { packed, partial, sums } = &mut *self.scratch;
        let (input, gradient) = self.stored.input_and_gradient(layer, space, input, g);
        if let Some(gradients) = self.gradients.as_deref_mut() {
            let to = &mut gradients[layer.weight.range()];
            space.convolution.weights.run(&input, &gradient, partial.slice_mut(), to);
        }
        let Some(product) = &space.convolution.input else { return 0 };
        space.convolution.pack_input(&self.parameters[layer.weight.range()], packed.slice_mut());
        product.run(&gradient, packed.slice(), epilogue, to.values_mut(), sums.slice_mut());
        product.unit_count()
    }

    /// Computes the gradients inside a block, from its last convolution to its second. `g` is the gradient of the
    /// block's output, masked by its ReLU. Returns the gradient of the first batch norm's output.
    fn inside_of_block<'a>(
        &mut self,
        block: &Block,
        space: &mut BlockSpace,
        g: &Tensor,
        inside: &'a mut [Tensor; 2],
    ) -> &'a Tensor {
        let [mut current, mut other] = inside.each_mut();
        let last = block.main.len() - 1;
        for i in (1..=last).rev() {
            let (below, above) = space.main.split_at_mut(i);
            let below = &mut below[i - 1];
            let g = if i == last { g.values() } else { current.values() };
            let Norm { mean, scale, shift, .. } = &below.norm;
            let mask = MaskByNorm { z: below.z.values(), mean, scale, shift };
            let units = self.layer(&block.main[i], &above[0], LayerInput::Layer(below), g, &mask, other);
            self.norm(&block.main[i - 1], below, units, MaskByNorm::SUMS, 1);
            std::mem::swap(&mut current, &mut other);
        }
        current
    }

    /// Computes the gradients of the convolutions that read a block's input `x`. Adds the gradient of `x` to the gradient
    /// of the output, `g`, if the shortcut is the identity. Writes it to `spare` if the shortcut is a projection. Returns
    /// the number of units of work that stored sums.
    #[expect(clippy::too_many_arguments, reason = "disjoint parts of a workspace")]
    fn input_of_block(
        &mut self,
        block: &Block,
        space: &BlockSpace,
        x: Values<'_>,
        g: &mut Tensor,
        inner: &Tensor,
        spare: &mut Tensor,
        epilogue: &impl Epilogue,
    ) -> usize {
        let x = LayerInput::Values(x);
        let to = match (&block.downsample, &space.downsample) {
            (Some(layer), Some(space)) => {
                self.layer(layer, space, x, g.values(), &Write { accumulate: false }, spare);
                spare
            }
            _ => g,
        };
        self.layer(&block.main[0], &space.main[0], x, inner.values(), epilogue, to)
    }
}
