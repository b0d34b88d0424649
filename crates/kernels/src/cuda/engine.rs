//! What the back end asks of a device: memory, kernels, convolutions.
//!
//! There are two of them: [`super::card::Card`], a CUDA card, and in the tests an emulation on the processor, so that the
//! walk over the layers and every kernel's logic are held against references where there is no card.

use std::ffi::c_void;
use std::rc::Rc;

use super::convolution_cache::ConvolutionCache;
use super::error::Result;
use crate::adam::AdamStep;
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

/// A place in the device's memory.
pub type Address = u64;

/// No memory: what kernels take for an optional tensor.
pub const NULL: Address = 0;

/// Threads of every block; `THREADS` in `element.cuh`.
pub(crate) const THREADS: u32 = 256;

/// One argument of a kernel, with its type in the kernel's signature.
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
    /// Where the value stands, as the driver wants it.
    pub(crate) fn address(&self) -> *mut c_void {
        match self {
            Self::Pointer(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Self::Int(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Self::Long(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Self::Double(value) => std::ptr::from_ref(value).cast_mut().cast(),
            Self::Adam(value) => std::ptr::from_ref(value).cast_mut().cast(),
        }
    }
}

/// Memory that convolutions use while they run.
#[derive(Clone, Copy, Debug)]
pub struct Scratch {
    /// Where it is.
    pub address: Address,
    /// How much there is.
    pub bytes: usize,
}

/// The operands of a convolution with bias, shortcut and ReLU.
#[derive(Clone, Copy, Debug)]
pub struct FusedOperands {
    /// Input.
    pub x: Address,
    /// Weight.
    pub weight: Address,
    /// Bias, `[outputs]` in the stored element.
    pub bias: Address,
    /// What is added before the ReLU, in the output's shape, or [`NULL`].
    pub shortcut: Address,
    /// Output.
    pub y: Address,
}

/// A device. Work is done in the order in which it was asked for.
///
/// Addresses are trusted: what a kernel or a convolution is given must be large enough for the shapes it is given. They
/// must come from the callers that allocated the memory for these very shapes.
pub trait Engine: Sized {
    /// Device memory, given back when dropped.
    type Memory: std::fmt::Debug;
    /// A convolution prepared for one shape.
    type Convolution: std::fmt::Debug;
    /// A copy from the device that has been asked for.
    type Readback: std::fmt::Debug;
    /// Work that can be asked for as a whole.
    type Recording: std::fmt::Debug;

    /// Allocates zeroed memory, aligned to 256 bytes.
    fn allocate(&self, bytes: usize) -> Result<Self::Memory>;
    /// Where `memory` begins.
    fn address(&self, memory: &Self::Memory) -> Address;
    /// Copies to the device; `from` may be reused on return.
    fn upload(&self, from: &[u8], to: Address) -> Result<()>;
    /// Waits for all work, then copies from the device.
    fn download(&self, from: Address, to: &mut [u8]) -> Result<()>;
    /// Waits for all work.
    fn wait(&self) -> Result<()>;
    /// Copies a batch's parts to the device beside the work that is going on: after the last [`Engine::consumed`] of the
    /// same slot, before all work that is asked for from now on. The parts may be reused on return.
    fn stage(&self, slot: usize, parts: &[(&[u8], Address)]) -> Result<()>;
    /// What was staged in `slot` has been read once all work asked for so far is done.
    fn consumed(&self, slot: usize) -> Result<()>;
    /// Makes room for `count` copies of up to `bytes` to the host, so that asking for them allocates nothing.
    fn expect_readbacks(&self, count: usize, bytes: usize) -> Result<()>;
    /// Asks for a copy of what stands at `from` once all work asked for so far is done.
    fn read_later(&self, from: Address, bytes: usize) -> Result<Self::Readback>;
    /// Waits for such a copy.
    fn finish(&self, readback: Self::Readback) -> Result<Vec<u8>>;
    /// Starts a kernel with blocks of [`THREADS`].
    fn launch(&self, kernel: &'static str, grid: [u32; 2], args: &[Arg]) -> Result<()>;

    /// Records the kernels and convolutions that `work` asks for, with their arguments, instead of doing them; nothing where
    /// the device does not record. `work` must not ask for anything else.
    fn record(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<Option<Self::Recording>>;
    /// Asks for all that was recorded.
    fn replay(&self, recording: &Self::Recording) -> Result<()>;

    /// The convolutions that were prepared before.
    fn convolutions(&self) -> &ConvolutionCache<Self::Convolution>;
    /// Chooses algorithms for a shape and the gradients it is asked for; with what they need of scratch memory.
    fn prepare(
        &self,
        shape: &ConvShape,
        precision: Precision,
        gradients: Gradients,
    ) -> Result<(Self::Convolution, usize)>;
    /// As [`Engine::prepare`], once for each shape, precision and set of gradients.
    fn convolution(
        &self,
        shape: &ConvShape,
        precision: Precision,
        gradients: Gradients,
    ) -> Result<(Rc<Self::Convolution>, usize)> {
        let key = (*shape, precision, gradients);
        self.convolutions().get_or_prepare(key, || self.prepare(shape, precision, gradients))
    }
    /// `output = convolution of input and weight`.
    fn convolve(&self, by: &Self::Convolution, scratch: Scratch, x: Address, w: Address, y: Address) -> Result<()>;
    /// `y = relu(convolution of input and weight + bias + shortcut)`; [`super::Error::NoFusion`] where the device cannot.
    fn convolve_fused(&self, by: &Self::Convolution, scratch: Scratch, operands: FusedOperands) -> Result<()>;
    /// `dx = gradient of the input`.
    fn input_gradient(
        &self,
        by: &Self::Convolution,
        scratch: Scratch,
        w: Address,
        dy: Address,
        dx: Address,
    ) -> Result<()>;
    /// `dw = gradient of the weight`.
    fn weight_gradient(
        &self,
        by: &Self::Convolution,
        scratch: Scratch,
        x: Address,
        dy: Address,
        dw: Address,
    ) -> Result<()>;
}

/// Reads `len` elements from the device, after all work asked for so far.
///
/// # Errors
/// Those of the device.
pub fn download<T: bytemuck::Pod>(engine: &impl Engine, from: Address, len: usize) -> Result<Vec<T>> {
    let mut values = vec![T::zeroed(); len];
    engine.download(from, bytemuck::cast_slice_mut(&mut values))?;
    Ok(values)
}
