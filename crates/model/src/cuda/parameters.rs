//! The weights in device memory.
//!
//! The convolutions' weights come first. They are `[outputs, inputs, kernel, kernel]` on the host, and
//! `[outputs, kernel, kernel, inputs]` on the device, which is cuDNN's layout. On the device, the inputs are padded
//! with zeros to a multiple of [`INPUT_MULTIPLE`]. Each tensor is aligned to [`ALIGNMENT`] elements. The gradient of
//! the padding is zero, so Adam keeps the padding zero.
//! Running statistics have the same layout as on the host.

use std::cell::Cell;

use kernels::Precision;
use kernels::cuda::launch::{AdamBuffers, NormTensors};
use kernels::cuda::shapes::INPUT_MULTIPLE;
use kernels::cuda::{Address, Engine, NULL, Result, download};

use crate::layers::{ConvNorm, LayerList};
use crate::tensor_table::Entry;

/// The alignment of each tensor in elements. 64 elements of bf16 are 128 bytes, a cache line.
const ALIGNMENT: usize = 64;

/// A tensor's position in the flat buffers of the host and of the device, in elements.
#[derive(Clone, Copy, Debug)]
struct Place {
    host: Entry,
    device: usize,
    /// Outputs, inputs and kernel elements of a convolution's weight; `[1, len, 1]` for other tensors.
    shape: [usize; 3],
    /// Inputs with their padding.
    padded: usize,
}

/// The layout of the flat buffers of the device.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    convolutions: Vec<Place>,
    others: Vec<Place>,
    convolution_len: usize,
    len: usize,
}

impl Layout {
    /// Lays out the tensors of `layers`.
    pub(crate) fn new(layers: &LayerList) -> Self {
        let mut len = 0;
        let mut convolutions = Vec::new();
        for layer in layers.conv_norms() {
            let padded = layer.inputs.next_multiple_of(INPUT_MULTIPLE);
            let shape = [layer.outputs, layer.inputs, layer.kernel * layer.kernel];
            convolutions.push(Place { host: layer.weight, device: len, shape, padded });
            len = (len + layer.outputs * shape[2] * padded).next_multiple_of(ALIGNMENT);
        }
        let convolution_len = len;
        let norms = layers.conv_norms().flat_map(|layer| [layer.scale, layer.shift]);
        let mut others = Vec::new();
        for host in norms.chain([layers.head.weight, layers.head.bias]) {
            let elements = host.range().len();
            others.push(Place { host, device: len, shape: [1, elements, 1], padded: elements });
            len = (len + elements).next_multiple_of(ALIGNMENT);
        }
        Self { convolutions, others, convolution_len, len }
    }

    /// Returns the number of elements of all parameters on the device, and of the convolutions' weights alone.
    pub(crate) fn lens(&self) -> [usize; 2] {
        [self.len, self.convolution_len]
    }

    /// Converts the host's flat buffer to the device's layout.
    pub(crate) fn to_device(&self, host: &[f32]) -> Vec<f32> {
        let mut device = vec![0.0; self.len];
        self.for_each_element(|from, to| device[to] = host[from]);
        device
    }

    /// Converts the device's flat buffer to the host's layout.
    pub(crate) fn to_host(&self, device: &[f32], host: &mut [f32]) {
        self.for_each_element(|to, from| host[to] = device[from]);
    }

    /// Calls `f` with each element's position on the host and on the device.
    fn for_each_element(&self, mut f: impl FnMut(usize, usize)) {
        for place in self.convolutions.iter().chain(&self.others) {
            let [outputs, inputs, taps] = place.shape;
            let host = place.host.range().start;
            for output in 0..outputs {
                for input in 0..inputs {
                    for tap in 0..taps {
                        let device = place.device + (output * taps + tap) * place.padded + input;
                        f(host + (output * inputs + input) * taps + tap, device);
                    }
                }
            }
        }
    }
}

/// The parameters, their gradients and the running statistics on a device.
#[derive(Debug)]
pub(crate) struct Parameters<E: Engine> {
    layout: Layout,
    precision: Precision,
    statistics_len: usize,
    /// The number of changes to parameters and statistics so far.
    version: Cell<u64>,
    addresses: Addresses,
    /// The memory that the addresses point into.
    _memory: Vec<E::Memory>,
}

#[derive(Clone, Copy, Debug)]
struct Addresses {
    /// All parameters in f32.
    masters: Address,
    /// bf16 copies of the convolutions' weights. NULL for other precisions.
    copies: Address,
    /// The gradients of the convolutions' weights, in bf16 or f32.
    convolution_gradients: Address,
    /// All other gradients in f32.
    gradients: Address,
    /// The running statistics in f32.
    statistics: Address,
}

/// One layer's tensors on the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerValues {
    /// The weight that the convolution reads, in bf16 or f32.
    pub(crate) weight: Address,
    /// The weight in f32.
    pub(crate) master: Address,
    /// The number of elements of the weight, including the padding of the inputs.
    pub(crate) weight_len: usize,
    /// The weight's gradient.
    pub(crate) weight_gradient: Address,
    /// The batch norm's values.
    pub(crate) norm: NormTensors,
    /// The gradients of the batch norm's scale and shift.
    pub(crate) norm_gradients: [Address; 2],
}

/// The head's tensors on the device, in f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadValues {
    /// Weight and bias.
    pub(crate) values: [Address; 2],
    /// Their gradients.
    pub(crate) gradients: [Address; 2],
}

const F32: usize = size_of::<f32>();

impl<E: Engine> Parameters<E> {
    /// Allocates zeros for the tensors of `layers`.
    pub(crate) fn new(engine: &E, layers: &LayerList, precision: Precision) -> Result<Self> {
        let layout = Layout::new(layers);
        let [len, convolution_len] = layout.lens();
        let stored = convolution_len * precision.bytes();
        let statistics_len = layers.statistics.len();
        let mut memory = Vec::new();
        let mut allocate = |bytes: usize| -> Result<Address> {
            memory.push(engine.allocate(bytes)?);
            Ok(memory.last().map_or(NULL, |memory| engine.address(memory)))
        };
        let addresses = Addresses {
            masters: allocate(len * F32)?,
            copies: if precision == Precision::Bf16 { allocate(stored)? } else { NULL },
            convolution_gradients: allocate(stored)?,
            gradients: allocate((len - convolution_len) * F32)?,
            statistics: allocate(statistics_len * F32)?,
        };
        let version = Cell::new(0);
        Ok(Self { layout, precision, statistics_len, version, addresses, _memory: memory })
    }

    /// Returns the addresses of the tensors of `layer`, which is at `index` in [`LayerList::conv_norms`].
    pub(crate) fn layer(&self, index: usize, layer: &ConvNorm) -> LayerValues {
        let Addresses { masters, copies, convolution_gradients, statistics, .. } = self.addresses;
        let place = &self.layout.convolutions[index];
        let weight = place.device * self.precision.bytes();
        let [outputs, _, taps] = place.shape;
        let [scale, shift] = [2 * index, 2 * index + 1].map(|i| self.layout.others[i].device);
        let statistic = |entry: Entry| statistics + (entry.range().start * F32) as Address;
        LayerValues {
            weight: if copies == NULL { masters } else { copies } + weight as Address,
            master: self.master(place.device),
            weight_len: outputs * taps * place.padded,
            weight_gradient: convolution_gradients + weight as Address,
            norm: NormTensors {
                weight: self.master(scale),
                bias: self.master(shift),
                mean: statistic(layer.mean),
                variance: statistic(layer.variance),
            },
            norm_gradients: [self.gradient(scale), self.gradient(shift)],
        }
    }

    /// Returns the addresses of the head's tensors.
    pub(crate) fn head(&self) -> HeadValues {
        let last = self.layout.others.len();
        let places = [last - 2, last - 1].map(|i| self.layout.others[i].device);
        HeadValues { values: places.map(|at| self.master(at)), gradients: places.map(|at| self.gradient(at)) }
    }

    /// Sets the gradients of the head to zero, after all work queued so far.
    pub(crate) fn clear_head_gradients(&self, engine: &E) -> Result<()> {
        let last = self.layout.others.len();
        for place in &self.layout.others[last - 2..] {
            let zeros = vec![0.0_f32; place.padded];
            engine.upload(bytemuck::cast_slice(&zeros), self.gradient(place.device))?;
        }
        Ok(())
    }

    fn master(&self, at: usize) -> Address {
        self.addresses.masters + (at * F32) as Address
    }

    fn gradient(&self, at: usize) -> Address {
        self.addresses.gradients + ((at - self.layout.convolution_len) * F32) as Address
    }

    /// Returns the layout of the flat buffers.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns a number that changes whenever a change of the parameters or the statistics is queued.
    pub(crate) fn version(&self) -> u64 {
        self.version.get()
    }

    /// Records that a change of the parameters or the statistics is queued.
    pub(crate) fn mark_changed(&self) {
        self.version.set(self.version.get() + 1);
    }

    /// Returns the buffers of an Adam step with the given moments.
    pub(crate) fn adam_buffers(&self, moments: [Address; 2]) -> AdamBuffers {
        let Addresses { masters, copies, convolution_gradients, gradients, .. } = self.addresses;
        AdamBuffers { masters, copies, moments, convolution_gradients, gradients, lens: self.layout.lens() }
    }

    /// Replaces parameters and statistics with the host's flat buffers.
    pub(crate) fn upload(&self, engine: &E, parameters: &[f32], statistics: &[f32]) -> Result<()> {
        self.mark_changed();
        let device = self.layout.to_device(parameters);
        engine.upload(bytemuck::cast_slice(&device), self.addresses.masters)?;
        if self.addresses.copies != NULL {
            let stored: Vec<u16> = device[..self.layout.convolution_len]
                .iter()
                .map(|&value| half::bf16::from_f32(value).to_bits())
                .collect();
            engine.upload(bytemuck::cast_slice(&stored), self.addresses.copies)?;
        }
        engine.upload(bytemuck::cast_slice(statistics), self.addresses.statistics)
    }

    /// Copies the parameters to the host's flat buffer, after all work queued so far.
    pub(crate) fn download(&self, engine: &E, host: &mut [f32]) -> Result<()> {
        self.layout.to_host(&download(engine, self.addresses.masters, self.layout.len)?, host);
        Ok(())
    }

    /// Copies the gradients to the host's flat buffer, after all work queued so far.
    pub(crate) fn download_gradients(&self, engine: &E, host: &mut [f32]) -> Result<()> {
        let [len, convolution_len] = self.layout.lens();
        let from = self.addresses.convolution_gradients;
        let mut device = match self.precision {
            Precision::F32 | Precision::Tf32 => download::<f32>(engine, from, convolution_len)?,
            Precision::Bf16 => {
                let stored = download::<u16>(engine, from, convolution_len)?;
                stored.into_iter().map(|bits| half::bf16::from_bits(bits).to_f32()).collect()
            }
        };
        device.extend(download::<f32>(engine, self.addresses.gradients, len - convolution_len)?);
        self.layout.to_host(&device, host);
        Ok(())
    }

    /// Replaces the gradients with the host's flat buffer. They are rounded to the type that the device stores.
    pub(crate) fn upload_gradients(&self, engine: &E, host: &[f32]) -> Result<()> {
        let device = self.layout.to_device(host);
        let (convolutions, others) = device.split_at(self.layout.convolution_len);
        let to = self.addresses.convolution_gradients;
        match self.precision {
            Precision::F32 | Precision::Tf32 => engine.upload(bytemuck::cast_slice(convolutions), to)?,
            Precision::Bf16 => {
                let stored: Vec<u16> =
                    convolutions.iter().map(|&value| half::bf16::from_f32(value).to_bits()).collect();
                engine.upload(bytemuck::cast_slice(&stored), to)?;
            }
        }
        engine.upload(bytemuck::cast_slice(others), self.addresses.gradients)
    }

    /// Copies the running statistics to the host's flat buffer, after all work queued so far.
    pub(crate) fn download_statistics(&self, engine: &E, host: &mut [f32]) -> Result<()> {
        host.copy_from_slice(&download(engine, self.addresses.statistics, self.statistics_len)?);
        Ok(())
    }
}
