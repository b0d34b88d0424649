//! Everything a batch shape needs on the device: prepared convolutions, activations, gradients and scratch memory.
//!
//! Kept from forward to backward are the convolutions' outputs `z`, what the next convolution reads (`y`), and the
//! blocks' outputs. Five buffers of the largest activation's size hold every gradient in its turn. For inference six
//! buffers hold every activation in its turn ([`Role`]), and there are no gradients.

use std::collections::BTreeMap;
use std::rc::Rc;

use kernels::cuda::shapes::{CHANNEL_MULTIPLE, COEFFICIENTS, HeadShape, INPUT_MULTIPLE, Images, SUMS};
use kernels::cuda::{Address, Engine, NULL, Scratch};
use kernels::pixels::COLOURS;
use kernels::{ConvShape, Precision};

use super::parameters::{LayerValues, Parameters};
use crate::architecture::{Block, ConvNorm, Plan};
use crate::batch::BatchShape;
use crate::error::{Error, Result};

/// What the memory of a batch shape is for. Each serves those before it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Forward alone: an activation's memory is another's once it has been read.
    Inference,
    /// Grad-CAM: the gradients of activations, but none of parameters.
    Explanation,
    /// All gradients.
    Training,
}

const F32: usize = size_of::<f32>();

/// A convolution with its batch norm.
#[derive(Debug)]
pub(crate) struct LayerSpace<E: Engine> {
    /// Its place among [`Plan::conv_norms`].
    pub(crate) index: usize,
    /// The prepared convolution.
    pub(crate) convolution: Rc<E::Convolution>,
    /// Shape of its output.
    pub(crate) shape: Images,
    /// Its output.
    pub(crate) z: Address,
    /// Its output after batch norm and ReLU, where a convolution of the same block reads that.
    pub(crate) y: Address,
    /// The batch norm's coefficients.
    pub(crate) coefficients: Address,
    /// Its parameters.
    pub(crate) values: LayerValues,
}

/// A residual block.
#[derive(Debug)]
pub(crate) struct BlockSpace<E: Engine> {
    /// The convolutions in order; never empty.
    pub(crate) main: Vec<LayerSpace<E>>,
    /// The projection of the shortcut.
    pub(crate) downsample: Option<LayerSpace<E>>,
    /// Shape of the block's output.
    pub(crate) shape: Images,
    /// The block's output.
    pub(crate) output: Address,
}

/// Gradients, each as large as the largest activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gradients {
    /// Of a block's output after its ReLU's mask; then the shortcut's part of its input's.
    pub(crate) block: Address,
    /// The main path's part of a block's input's.
    pub(crate) main: Address,
    /// Of the convolution's output at hand.
    pub(crate) z: Address,
    /// Of the projection's output.
    pub(crate) projection: Address,
    /// Of the convolution's input at hand.
    pub(crate) inner: Address,
}

/// All memory for one batch shape.
#[derive(Debug)]
pub(crate) struct Workspace<E: Engine> {
    /// What it is for.
    pub(crate) shape: BatchShape,
    /// What can be done with it.
    pub(crate) purpose: Purpose,
    /// The normalised pixels, `[images, height, width, 4]`.
    pub(crate) input: Address,
    /// The first convolution.
    pub(crate) stem: LayerSpace<E>,
    /// Output of the pooling after it, and which element of its window each output is.
    pub(crate) pooled: Address,
    /// A byte for each output of the pooling.
    pub(crate) winners: Address,
    /// The residual blocks.
    pub(crate) blocks: Vec<BlockSpace<E>>,
    /// The head's shape.
    pub(crate) head: HeadShape,
    /// Averages over all positions, `[images, channels]` in f32, and their gradients.
    pub(crate) features: [Address; 2],
    /// The loss, 64 elements' room, then the logits, `[images, classes]` in f32.
    pub(crate) outputs: Address,
    /// Gradients of the logits.
    pub(crate) logits_gradient: Address,
    /// Units' sums of the layer at hand.
    pub(crate) sums: Address,
    /// Grad-CAM's weights, `[images, channels]`, and maps, `[images, positions]`, in f32.
    pub(crate) cam: [Address; 2],
    /// Gradients.
    pub(crate) gradients: Gradients,
    /// The convolutions' scratch memory.
    pub(crate) scratch: Scratch,
    /// What all the addresses point into.
    _memory: Vec<E::Memory>,
}

/// Bytes from the loss to the logits: the logits stay aligned.
pub(crate) const LOSS_BYTES: usize = 256;

/// Activations of one role are never needed at the same time in inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// A convolution's output, until its batch norm has read it.
    Convolved,
    /// A projection's output, until the end of its block.
    Projected,
    /// What the next convolution of a block reads; by turns, because that one may write such a tensor itself.
    Activated(usize),
    /// A block's output, or the first block's input; by turns, because a block reads one to its end and writes the other.
    Output(usize),
}

/// Plans addresses; the largest of what layers share is allocated at the end.
struct Planner<'a, E: Engine> {
    engine: &'a E,
    parameters: &'a Parameters<E>,
    purpose: Purpose,
    memory: Vec<E::Memory>,
    layers: usize,
    scratch: usize,
    sums: usize,
    gradient: usize,
}

impl<E: Engine> Workspace<E> {
    /// Plans `plan` for batches of `shape`.
    pub(crate) fn new(
        engine: &E,
        plan: &Plan,
        parameters: &Parameters<E>,
        precision: Precision,
        shape: BatchShape,
        purpose: Purpose,
    ) -> Result<Self> {
        let memory = Vec::new();
        let mut planner = Planner { engine, parameters, purpose, memory, layers: 0, scratch: 0, sums: 0, gradient: 0 };
        let BatchShape { images, height, width } = shape;
        let from = Images { images, height, width, channels: COLOURS.next_multiple_of(INPUT_MULTIPLE), precision };
        let input = planner.allocate(from.matrix().bytes())?;
        let mut stem = planner.layer(&plan.stem, &from)?;
        let mut x = stem.shape.pooled();
        let winners = planner.allocate(x.matrix().rows * x.channels)?;
        let mut blocks = Vec::new();
        for block in &plan.blocks {
            let space = planner.block(block, &x)?;
            x = space.shape;
            blocks.push(space);
        }
        let pooled = planner.place_activations(&mut stem, &mut blocks)?;
        let head = HeadShape { images, classes: plan.head.bias.range().len(), inputs: plan.head.inputs };
        let features = [planner.allocate(images * head.inputs * F32)?, planner.allocate(images * head.inputs * F32)?];
        let outputs = planner.allocate(LOSS_BYTES + images * head.classes * F32)?;
        let logits_gradient = planner.allocate(images * head.classes * F32)?;
        let positions = blocks.iter().map(|block| block.shape.positions()).max().unwrap_or(0);
        let channels = blocks.iter().map(|block| block.shape.channels).max().unwrap_or(0);
        let (sums, gradient) = (planner.sums, planner.gradient);
        let cam = [planner.for_backward(images * channels * F32)?, planner.for_backward(images * positions * F32)?];
        let sums = planner.for_backward(sums)?;
        let gradients = Gradients {
            block: planner.for_backward(gradient)?,
            main: planner.for_backward(gradient)?,
            z: planner.for_backward(gradient)?,
            projection: planner.for_backward(gradient)?,
            inner: planner.for_backward(gradient)?,
        };
        let bytes = planner.scratch;
        let scratch = Scratch { address: planner.allocate(bytes)?, bytes };
        Ok(Self {
            shape,
            purpose,
            input,
            stem,
            pooled,
            winners,
            blocks,
            head,
            features,
            outputs,
            logits_gradient,
            sums,
            cam,
            gradients,
            scratch,
            _memory: planner.memory,
        })
    }
}

impl<E: Engine> Planner<'_, E> {
    fn allocate(&mut self, bytes: usize) -> Result<Address> {
        if bytes == 0 {
            return Ok(NULL);
        }
        let memory = self.engine.allocate(bytes)?;
        let address = self.engine.address(&memory);
        self.memory.push(memory);
        Ok(address)
    }

    /// Memory that inference does not need.
    fn for_backward(&mut self, bytes: usize) -> Result<Address> {
        if self.purpose == Purpose::Inference { Ok(NULL) } else { self.allocate(bytes) }
    }

    /// The gradients that the next layer is asked for: that of the pixels is nobody's.
    fn gradients(&self) -> kernels::Gradients {
        let weight = self.purpose == Purpose::Training;
        kernels::Gradients { input: self.purpose != Purpose::Inference && self.layers > 0, weight }
    }

    /// `layer` on an input of shape `from`; its activations have no place yet.
    fn layer(&mut self, layer: &ConvNorm, from: &Images) -> Result<LayerSpace<E>> {
        if !layer.outputs.is_multiple_of(CHANNEL_MULTIPLE) {
            return Err(Error::Channels {
                layer: layer.norm_name.clone(),
                channels: layer.outputs,
                multiple: CHANNEL_MULTIPLE,
            });
        }
        let shape = ConvShape { inputs: from.channels, ..layer.shape(from.images, (from.height, from.width)) };
        let (convolution, scratch) = self.engine.convolution(&shape, from.precision, self.gradients())?;
        let (height, width) = shape.output();
        let shape = Images { height, width, channels: layer.outputs, ..*from };
        let matrix = shape.matrix();
        self.scratch = self.scratch.max(scratch);
        self.sums = self.sums.max(matrix.units().count * SUMS * matrix.channels * F32);
        self.gradient = self.gradient.max(matrix.bytes());
        let values = self.parameters.layer(self.layers, layer);
        let index = self.layers;
        self.layers += 1;
        let coefficients = self.allocate(COEFFICIENTS * matrix.channels * F32)?;
        Ok(LayerSpace { index, convolution, shape, z: NULL, y: NULL, coefficients, values })
    }

    fn block(&mut self, block: &Block, from: &Images) -> Result<BlockSpace<E>> {
        let mut main = Vec::new();
        let mut x = *from;
        for layer in &block.main {
            let space = self.layer(layer, &x)?;
            x = space.shape;
            main.push(space);
        }
        let downsample = block.downsample.as_ref().map(|layer| self.layer(layer, from)).transpose()?;
        Ok(BlockSpace { main, downsample, shape: x, output: NULL })
    }

    /// Gives every activation a place: that of its role for inference, one of its own else. Returns that of the
    /// pooling's output.
    fn place_activations(&mut self, stem: &mut LayerSpace<E>, blocks: &mut [BlockSpace<E>]) -> Result<Address> {
        let mut pooled = NULL;
        let activations = activations(stem, &mut pooled, blocks);
        let mut shared = BTreeMap::new();
        if self.purpose == Purpose::Inference {
            for (role, bytes, _) in &activations {
                let (largest, _) = shared.entry(*role).or_insert((0, NULL));
                *largest = *bytes.max(largest);
            }
            for (bytes, address) in shared.values_mut() {
                *address = self.allocate(*bytes)?;
            }
        }
        for (role, bytes, place) in activations {
            *place = match shared.get(&role) {
                Some((_, address)) => *address,
                None => self.allocate(bytes)?,
            };
        }
        Ok(pooled)
    }
}

/// The role of each activation, its bytes, and where its place is kept.
fn activations<'a, E: Engine>(
    stem: &'a mut LayerSpace<E>,
    pooled: &'a mut Address,
    blocks: &'a mut [BlockSpace<E>],
) -> Vec<(Role, usize, &'a mut Address)> {
    let bytes = |shape: &Images| shape.matrix().bytes();
    let mut all = vec![
        (Role::Convolved, bytes(&stem.shape), &mut stem.z),
        // The first block writes the other one.
        (Role::Output(1), bytes(&stem.shape.pooled()), pooled),
    ];
    for (i, block) in blocks.iter_mut().enumerate() {
        let inner = block.main.len().saturating_sub(1);
        for (turn, layer) in block.main.iter_mut().enumerate() {
            all.push((Role::Convolved, bytes(&layer.shape), &mut layer.z));
            if turn < inner {
                all.push((Role::Activated(turn % 2), bytes(&layer.shape), &mut layer.y));
            }
        }
        if let Some(layer) = &mut block.downsample {
            all.push((Role::Projected, bytes(&layer.shape), &mut layer.z));
        }
        all.push((Role::Output(i % 2), bytes(&block.shape), &mut block.output));
    }
    all
}
