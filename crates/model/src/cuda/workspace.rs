//! The memory of one batch shape on the device: prepared convolutions, activations, gradients and scratch memory.
//!
//! For training, three kinds of tensors are kept from forward to backward: the convolutions' outputs `z`, the
//! activations `y` that the next convolution reads, and the blocks' outputs. Layers reuse five buffers of the largest
//! activation's size for their gradients. For inference, layers reuse six buffers for their activations ([`Role`]), and
//! there are no gradients.

use std::collections::BTreeMap;
use std::rc::Rc;

use kernels::cuda::shapes::{CHANNEL_MULTIPLE, HeadShape, INPUT_MULTIPLE, ImageShape, NORM_COEFFICIENTS, PARTIAL_SUMS};
use kernels::cuda::{Address, Engine, NULL, Scratch};
use kernels::pixels::COLOURS;
use kernels::{ConvShape, Precision};

use super::parameters::{LayerValues, Parameters};
use crate::architecture::ArchitectureError;
use crate::batch::BatchShape;
use crate::error::Result;
use crate::layers::{Block, ConvNorm, LayerList};
use crate::shapes::{BlockShapes, LayerShapes};

/// The purpose of a workspace. A workspace also suffices for the purposes listed before its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Forward only: an activation's memory is reused once it has been read.
    Inference,
    /// Grad-CAM: gradients of activations, but not of parameters.
    Explanation,
    /// All gradients.
    Training,
}

const F32: usize = size_of::<f32>();

/// A convolution with its batch norm.
#[derive(Debug)]
pub(crate) struct LayerSpace<E: Engine> {
    /// Its index in [`LayerList::conv_norms`].
    pub(crate) index: usize,
    /// The prepared convolution.
    pub(crate) convolution: Rc<E::Convolution>,
    /// Shape of its output.
    pub(crate) shape: ImageShape,
    /// Its output.
    pub(crate) z: Address,
    /// Its output after batch norm and ReLU. NULL if no convolution of the same block reads it.
    pub(crate) y: Address,
    /// The batch norm's coefficients.
    pub(crate) coefficients: Address,
    /// Its parameters, gradients and running statistics.
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
    pub(crate) shape: ImageShape,
    /// The block's output.
    pub(crate) output: Address,
}

/// Buffers of gradients, each as large as the largest activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gradients {
    /// First the gradient of a block's output, masked by its ReLU. Then the shortcut's part of the gradient of the
    /// block's input.
    pub(crate) block: Address,
    /// The main path's part of the gradient of a block's input.
    pub(crate) main: Address,
    /// The gradient of the current convolution's output.
    pub(crate) z: Address,
    /// The gradient of the projection's output.
    pub(crate) projection: Address,
    /// The gradient of the current convolution's input.
    pub(crate) inner: Address,
}

/// All memory for one batch shape.
#[derive(Debug)]
pub(crate) struct Workspace<E: Engine> {
    /// The batch shape.
    pub(crate) shape: BatchShape,
    /// The purpose that the memory was allocated for.
    pub(crate) purpose: Purpose,
    /// The normalised pixels, `[images, height, width, 4]`.
    pub(crate) input: Address,
    /// The first convolution.
    pub(crate) stem: LayerSpace<E>,
    /// The output of the max pooling after the first convolution.
    pub(crate) pooled: Address,
    /// For each output of the pooling, the position of the maximum in its window, as a byte.
    pub(crate) argmax: Address,
    /// The residual blocks.
    pub(crate) blocks: Vec<BlockSpace<E>>,
    /// The head's shape.
    pub(crate) head: HeadShape,
    /// Averages over all positions, `[images, channels]` in f32, and their gradients.
    pub(crate) features: [Address; 2],
    /// The loss, and from byte [`Workspace::LOSS_BYTES`] on the logits, `[images, classes]` in f32.
    pub(crate) outputs: Address,
    /// Gradients of the logits.
    pub(crate) logits_gradient: Address,
    /// Per-channel sums of the current layer, one for each chunk of rows.
    pub(crate) sums: Address,
    /// Grad-CAM's channel weights, `[images, channels]`, and heat maps, `[images, positions]`, in f32.
    pub(crate) cam: [Address; 2],
    /// The buffers of gradients.
    pub(crate) gradients: Gradients,
    /// The convolutions' scratch memory.
    pub(crate) scratch: Scratch,
    /// The memory that the addresses point into.
    _memory: Vec<E::Memory>,
}

/// The role of an activation. During inference, no two activations of one role are needed at the same time, so they
/// share a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// A convolution's output. Needed until its batch norm has read it.
    Convolved,
    /// A projection's output. Needed until the end of its block.
    Projected,
    /// The input of the next convolution in a block. There are two buffers, used alternately, because the convolution
    /// reads one and may write the other.
    Activated(usize),
    /// A block's output, or the first block's input. There are two buffers, used alternately, because a block reads one
    /// and writes the other.
    Output(usize),
}

/// Allocates a workspace layer by layer. Computes the sizes of the shared buffers on the way, for allocation at the
/// end.
struct Allocator<'a, E: Engine> {
    engine: &'a E,
    parameters: &'a Parameters<E>,
    purpose: Purpose,
    memory: Vec<E::Memory>,
    /// Index of the next layer in [`LayerList::conv_norms`].
    next_layer: usize,
    scratch: usize,
    sums: usize,
    gradient: usize,
}

impl<E: Engine> Workspace<E> {
    /// The offset of the logits from the loss in bytes. It keeps the logits aligned.
    pub(crate) const LOSS_BYTES: usize = 256;

    /// Returns the address of the logits.
    pub(crate) fn logits(&self) -> Address {
        self.outputs + Self::LOSS_BYTES as Address
    }

    /// Returns the number of elements of the logits.
    pub(crate) fn logits_len(&self) -> usize {
        self.head.images * self.head.classes
    }

    /// Returns the size of the loss and the logits together, in bytes.
    pub(crate) fn output_bytes(&self) -> usize {
        Self::LOSS_BYTES + self.logits_len() * F32
    }

    /// Prepares `layers` for batches of `shape` and allocates all memory that `purpose` needs.
    pub(crate) fn new(
        engine: &E,
        layers: &LayerList,
        parameters: &Parameters<E>,
        precision: Precision,
        shape: BatchShape,
        purpose: Purpose,
    ) -> Result<Self> {
        let memory = Vec::new();
        let mut allocator =
            Allocator { engine, parameters, purpose, memory, next_layer: 0, scratch: 0, sums: 0, gradient: 0 };
        let BatchShape { images, height, width } = shape;
        let shapes = LayerShapes::new(layers, shape);
        let pixels =
            ImageShape { images, height, width, channels: COLOURS.next_multiple_of(INPUT_MULTIPLE), precision };
        let input = allocator.allocate(pixels.matrix().bytes())?;
        let mut stem =
            allocator.layer(&layers.stem, ConvShape { inputs: pixels.channels, ..shapes.stem }, precision)?;
        let argmax = allocator.allocate(stem.shape.pooled().matrix().rows * stem.shape.channels)?;
        let mut blocks = Vec::new();
        for (block, shapes) in layers.blocks.iter().zip(&shapes.blocks) {
            blocks.push(allocator.block(block, shapes, precision)?);
        }
        let pooled = allocator.place_activations(&mut stem, &mut blocks)?;
        let head = HeadShape { images, classes: layers.head.bias.range().len(), inputs: layers.head.inputs };
        let features =
            [allocator.allocate(images * head.inputs * F32)?, allocator.allocate(images * head.inputs * F32)?];
        let outputs = allocator.allocate(Self::LOSS_BYTES + images * head.classes * F32)?;
        let logits_gradient = allocator.allocate(images * head.classes * F32)?;
        let positions = blocks.iter().map(|block| block.shape.positions()).max().unwrap_or(0);
        let channels = blocks.iter().map(|block| block.shape.channels).max().unwrap_or(0);
        let (sums, gradient) = (allocator.sums, allocator.gradient);
        let cam = [allocator.for_backward(images * channels * F32)?, allocator.for_backward(images * positions * F32)?];
        let sums = allocator.for_backward(sums)?;
        let gradients = Gradients {
            block: allocator.for_backward(gradient)?,
            main: allocator.for_backward(gradient)?,
            z: allocator.for_backward(gradient)?,
            projection: allocator.for_backward(gradient)?,
            inner: allocator.for_backward(gradient)?,
        };
        let bytes = allocator.scratch;
        let scratch = Scratch { address: allocator.allocate(bytes)?, bytes };
        Ok(Self {
            shape,
            purpose,
            input,
            stem,
            pooled,
            argmax,
            blocks,
            head,
            features,
            outputs,
            logits_gradient,
            sums,
            cam,
            gradients,
            scratch,
            _memory: allocator.memory,
        })
    }
}

impl<E: Engine> Allocator<'_, E> {
    fn allocate(&mut self, bytes: usize) -> Result<Address> {
        if bytes == 0 {
            return Ok(NULL);
        }
        let memory = self.engine.allocate(bytes)?;
        let address = self.engine.address(&memory);
        self.memory.push(memory);
        Ok(address)
    }

    /// Allocates memory for the backward pass. Returns NULL if the purpose is inference.
    fn for_backward(&mut self, bytes: usize) -> Result<Address> {
        if self.purpose == Purpose::Inference { Ok(NULL) } else { self.allocate(bytes) }
    }

    /// Returns which gradients the next layer computes. The gradient of the pixels is never needed.
    fn gradients(&self) -> kernels::Gradients {
        let weight = self.purpose == Purpose::Training;
        kernels::Gradients { input: self.purpose != Purpose::Inference && self.next_layer > 0, weight }
    }

    /// Prepares `layer` for inputs of `shape`. Does not allocate its activations.
    fn layer(&mut self, layer: &ConvNorm, shape: ConvShape, precision: Precision) -> Result<LayerSpace<E>> {
        if !layer.outputs.is_multiple_of(CHANNEL_MULTIPLE) {
            return Err(ArchitectureError::Channels {
                layer: layer.norm_name.clone(),
                channels: layer.outputs,
                multiple: CHANNEL_MULTIPLE,
            }
            .into());
        }
        let (convolution, scratch) = self.engine.cached_convolution(&shape, precision, self.gradients())?;
        let (height, width) = shape.output();
        let output = ImageShape { images: shape.images, height, width, channels: shape.outputs, precision };
        let matrix = output.matrix();
        self.scratch = self.scratch.max(scratch);
        self.sums = self.sums.max(matrix.row_chunks().count * PARTIAL_SUMS * matrix.channels * F32);
        self.gradient = self.gradient.max(matrix.bytes());
        let index = self.next_layer;
        self.next_layer += 1;
        let values = self.parameters.layer(index, layer);
        let coefficients = self.allocate(NORM_COEFFICIENTS * matrix.channels * F32)?;
        Ok(LayerSpace { index, convolution, shape: output, z: NULL, y: NULL, coefficients, values })
    }

    fn block(&mut self, block: &Block, shapes: &BlockShapes, precision: Precision) -> Result<BlockSpace<E>> {
        let mut main = Vec::new();
        for (layer, &shape) in block.main.iter().zip(&shapes.main) {
            main.push(self.layer(layer, shape, precision)?);
        }
        let downsample = block.downsample.as_ref().zip(shapes.downsample);
        let downsample = downsample.map(|(layer, shape)| self.layer(layer, shape, precision)).transpose()?;
        let shape = main[main.len() - 1].shape;
        Ok(BlockSpace { main, downsample, shape, output: NULL })
    }

    /// Allocates the activations: for inference one buffer per role, else one per activation. Returns the address of
    /// the pooling's output.
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

/// Returns the role of each activation, its size in bytes, and the field for its address.
fn activations<'a, E: Engine>(
    stem: &'a mut LayerSpace<E>,
    pooled: &'a mut Address,
    blocks: &'a mut [BlockSpace<E>],
) -> Vec<(Role, usize, &'a mut Address)> {
    let bytes = |shape: &ImageShape| shape.matrix().bytes();
    let mut all = vec![
        (Role::Convolved, bytes(&stem.shape), &mut stem.z),
        // `Output(1)`, because the first block reads it and writes `Output(0)`.
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
