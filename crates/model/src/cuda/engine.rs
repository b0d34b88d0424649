//! What the back end asks of a device: memory, kernels, convolutions.
//!
//! There are two of them: [`super::card::Card`], a CUDA card, and in the tests an emulation on the processor, so that the
//! walk over the layers and every kernel's logic are held against references where there is no card.

use std::cell::RefCell;
use std::ffi::c_void;

use super::error::Result;
use super::folded::Fused;
use super::prepared::Prepared;
use crate::adam::Update;

/// A place in the device's memory.
pub(crate) type Address = u64;

/// No memory: what kernels take for an optional tensor.
pub(crate) const NULL: Address = 0;

/// Threads of every block; `THREADS` in `element.cuh`.
pub(crate) const THREADS: u32 = 256;

/// What activations are stored as, and how convolutions multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    /// f32 everywhere.
    F32,
    /// f32 storage; convolutions round their operands to TF32 (10 bits of mantissa).
    Tf32,
    /// bf16 storage, f32 accumulation, f32 master weights.
    Bf16,
}

impl Precision {
    /// Bytes of a stored element.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::Tf32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// Picks the kernel for the stored element.
    pub(crate) fn pick(self, f32: &'static str, bf16: &'static str) -> &'static str {
        match self {
            Self::F32 | Self::Tf32 => f32,
            Self::Bf16 => bf16,
        }
    }
}

/// One argument of a kernel, with its type in the kernel's signature.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    /// A pointer.
    Pointer(Address),
    /// `int`.
    Int(i32),
    /// `int64_t`.
    Long(i64),
    /// `double`.
    Double(f64),
    /// `AdamStep`.
    Adam(Update),
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

/// A convolution's shape. Tensors are N,H,W,C; weights `[outputs, kernel, kernel, inputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Geometry {
    /// Number of images.
    pub(crate) images: usize,
    /// Rows of the input.
    pub(crate) height: usize,
    /// Columns of the input.
    pub(crate) width: usize,
    /// Channels that go in.
    pub(crate) inputs: usize,
    /// Channels that come out.
    pub(crate) outputs: usize,
    /// Side of the square kernel.
    pub(crate) kernel: usize,
    /// Stride in both directions.
    pub(crate) stride: usize,
    /// Zeros around the input.
    pub(crate) padding: usize,
}

impl Geometry {
    /// Rows and columns of the output.
    pub(crate) fn output(&self) -> (usize, usize) {
        let side = |side: usize| (side + 2 * self.padding - self.kernel) / self.stride + 1;
        (side(self.height), side(self.width))
    }
}

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

/// Which gradients are asked of a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Backward {
    /// That of its input.
    pub(crate) input: bool,
    /// That of its weight.
    pub(crate) weight: bool,
}

/// Memory that convolutions use while they run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scratch {
    /// Where it is.
    pub(crate) address: Address,
    /// How much there is.
    pub(crate) bytes: usize,
}

/// A device. Work is done in the order in which it was asked for.
///
/// Addresses are trusted: what a kernel or a convolution is given must be large enough for the shapes it is given. They
/// come from [`super::workspace`] and [`super::parameters`] alone, which size everything from one plan.
pub(crate) trait Engine: Sized {
    /// Device memory, given back when dropped.
    type Memory: std::fmt::Debug;
    /// A convolution prepared for one shape.
    type Convolution: std::fmt::Debug;
    /// A copy from the device that has been asked for.
    type Readback: std::fmt::Debug;
    /// Work that can be asked for as a whole.
    type Recording: std::fmt::Debug;

    /// Zeroed memory, aligned to 256 bytes.
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

    /// The convolutions that networks on it have had prepared.
    fn prepared(&self) -> &RefCell<Prepared<Self>>;
    /// Chooses algorithms for a shape and the gradients it is asked for; with what they need of scratch memory.
    fn prepare(
        &self,
        geometry: &Geometry,
        precision: Precision,
        backward: Backward,
    ) -> Result<(Self::Convolution, usize)>;
    /// `output = convolution of input and weight`.
    fn convolve(&self, by: &Self::Convolution, scratch: Scratch, x: Address, w: Address, y: Address) -> Result<()>;
    /// `y = relu(convolution of input and weight + bias + shortcut)`; [`super::Error::NoFusion`] where the device cannot.
    fn convolve_fused(&self, by: &Self::Convolution, scratch: Scratch, operands: Fused) -> Result<()>;
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
