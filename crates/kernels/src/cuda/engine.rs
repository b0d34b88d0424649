//! The interface between the back end and a device: memory, copies, kernels, convolutions and recordings.
//!
//! [`super::card::Card`] implements it for a CUDA card. The emulator in `test_support` implements it on the processor,
//! so that tests compare kernels and whole networks with references on machines without a card.

use std::ffi::c_void;
use std::rc::Rc;

use super::convolution_cache::ConvolutionCache;
use super::error::Result;
use crate::adam::AdamStep;
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

/// An address in device memory.
pub type Address = u64;

/// The null pointer, which stands for the absence of an optional tensor.
pub const NULL: Address = 0;

/// Threads per block of every kernel. Equal to `THREADS` in `element.cuh`.
pub(crate) const THREADS: u32 = 256;

/// A kernel argument, with its type in the kernel's signature.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    /// A pointer.
    Pointer(Address),
    /// `int`.
    Int(i32),
    /// `int64_t`.
    Long(i64),
    /// `double`.
    Double(f64),
    /// `AdamStep`.
    Adam(AdamStep),
}

impl Arg {
    /// Returns a pointer to the value, as `cuLaunchKernel` takes it.
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        match self {
            Self::Pointer(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Self::Int(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Self::Long(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Self::Double(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Self::Adam(value) => std::ptr::from_ref(value).cast_mut().cast(),
        }
    }
}

/// Device memory that convolutions use while they run. cuDNN calls it the workspace.
#[derive(Clone, Copy, Debug)]
pub struct Scratch {
    /// The address of the first byte.
    pub address: Address,
    /// The size in bytes.
    pub bytes: usize,
}

/// The operands of a convolution with bias, shortcut and ReLU.
#[derive(Clone, Copy, Debug)]
pub struct FusedOperands {
    /// Input.
    pub x: Address,
    /// Weight.
    pub weight: Address,
    /// Bias, `[outputs]` in the stored element type.
    pub bias: Address,
    /// A tensor of the output's shape that is added before the ReLU, or [`NULL`].
    pub shortcut: Address,
    /// Output.
    pub y: Address,
}

/// A device with one queue. Calls enqueue work, which the device runs in the order of the calls.
///
/// Implementations do not check addresses. A caller must pass addresses of memory that it allocated, with enough bytes
/// for the shapes that it passes in the same call.
pub trait Engine: Sized {
    /// Device memory, freed on drop.
    type Memory: std::fmt::Debug;
    /// A convolution prepared for one shape.
    type Convolution: std::fmt::Debug;
    /// A copy from the device to the host that is in flight.
    type Readback: std::fmt::Debug;
    /// A sequence of calls that can be replayed, such as a CUDA graph.
    type Recording: std::fmt::Debug;

    /// Allocates zeroed memory, aligned to 256 bytes.
    fn allocate(&self, bytes: usize) -> Result<Self::Memory>;
    /// Returns the address of `memory`.
    fn address(&self, memory: &Self::Memory) -> Address;
    /// Copies to the device. `from` may be reused on return.
    fn upload(&self, from: &[u8], to: Address) -> Result<()>;
    /// Waits for all work, then copies from the device.
    fn download(&self, from: Address, to: &mut [u8]) -> Result<()>;
    /// Waits for all work.
    fn wait(&self) -> Result<()>;
    /// Copies `parts` to the device through the staging buffer `slot`, in parallel with work that was enqueued earlier.
    ///
    /// The copy starts after the work before the last [`Engine::release_slot`] of the same slot. Work that is enqueued
    /// later sees the copied bytes. The parts may be reused on return.
    fn upload_async(&self, slot: usize, parts: &[(&[u8], Address)]) -> Result<()>;
    /// Allows the next [`Engine::upload_async`] to overwrite `slot` once all work enqueued so far is done.
    fn release_slot(&self, slot: usize) -> Result<()>;
    /// Allocates buffers for `count` readbacks of up to `bytes` each, so that starting them allocates nothing.
    fn reserve_readbacks(&self, count: usize, bytes: usize) -> Result<()>;
    /// Enqueues a copy of `bytes` bytes at `from` to the host.
    fn start_readback(&self, from: Address, bytes: usize) -> Result<Self::Readback>;
    /// Waits for a readback and returns its bytes.
    fn finish_readback(&self, readback: Self::Readback) -> Result<Vec<u8>>;
    /// Enqueues a kernel with `grid` blocks of [`THREADS`] threads.
    fn launch(&self, kernel: &'static str, grid: [u32; 2], args: &[Arg]) -> Result<()>;

    /// Records the kernels and convolutions that `enqueue` enqueues, with their arguments, instead of running them.
    /// Returns `None` if the device does not support recording. `enqueue` must not make other calls.
    fn record(&self, enqueue: &mut dyn FnMut() -> Result<()>) -> Result<Option<Self::Recording>>;
    /// Enqueues all recorded calls.
    fn replay(&self, recording: &Self::Recording) -> Result<()>;

    /// The cache of [`Engine::cached_convolution`].
    fn convolutions(&self) -> &ConvolutionCache<Self::Convolution>;
    /// Chooses algorithms for a shape and the given gradients. Returns them with the scratch memory that they need, in
    /// bytes.
    fn prepare_convolution(
        &self,
        shape: &ConvShape,
        precision: Precision,
        gradients: Gradients,
    ) -> Result<(Self::Convolution, usize)>;
    /// Returns the result of [`Engine::prepare_convolution`], which is called once for each combination of arguments.
    fn cached_convolution(
        &self,
        shape: &ConvShape,
        precision: Precision,
        gradients: Gradients,
    ) -> Result<(Rc<Self::Convolution>, usize)> {
        let key = (*shape, precision, gradients);
        self.convolutions().get_or_prepare(key, || self.prepare_convolution(shape, precision, gradients))
    }
    /// Computes `y`, the convolution of `x` with the weight `w`.
    fn convolve(
        &self,
        convolution: &Self::Convolution,
        scratch: Scratch,
        x: Address,
        w: Address,
        y: Address,
    ) -> Result<()>;
    /// Computes `y = relu(convolution of x and weight + bias + shortcut)`.
    ///
    /// # Errors
    /// [`super::Error::FusionUnsupported`] if the device cannot fuse these operations.
    fn convolve_fused(&self, convolution: &Self::Convolution, scratch: Scratch, operands: FusedOperands) -> Result<()>;
    /// Computes `dx`, the gradient of the input, from `dy`, the gradient of the output.
    fn input_gradient(
        &self,
        convolution: &Self::Convolution,
        scratch: Scratch,
        w: Address,
        dy: Address,
        dx: Address,
    ) -> Result<()>;
    /// Computes `dw`, the gradient of the weight, from `dy`, the gradient of the output.
    fn weight_gradient(
        &self,
        convolution: &Self::Convolution,
        scratch: Scratch,
        x: Address,
        dy: Address,
        dw: Address,
    ) -> Result<()>;
}

/// Waits for all work, then reads `len` elements from the device.
///
/// # Errors
/// The device failed.
pub fn download<T: bytemuck::Pod>(engine: &impl Engine, from: Address, len: usize) -> Result<Vec<T>> {
    let mut values = vec![T::zeroed(); len];
    engine.download(from, bytemuck::cast_slice_mut(&mut values))?;
    Ok(values)
}
