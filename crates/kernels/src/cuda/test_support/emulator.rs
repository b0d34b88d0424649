//! An engine on the processor: the kernels of `cuda/*.cu` compiled by `g++`, and convolutions as plain loops.

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::Library;

use super::plain_convolution::PlainConvolution;
use crate::cuda::convolution_cache::ConvolutionCache;
use crate::cuda::engine::{Address, Arg, Engine, FusedOperands, NULL, Scratch, THREADS};
use crate::cuda::error::{Error, Result};
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

type Emulate = unsafe extern "C" fn(*const c_char, c_uint, c_uint, c_uint, *mut *mut c_void) -> c_int;

/// An emulated card. Public fields configure failures, or count calls, for tests.
#[derive(Debug, Default)]
pub struct Emulator {
    /// Fills new memory with NaN instead of zeros, so that tests detect reads of uninitialised memory.
    pub poison: Cell<bool>,
    /// Fails convolutions with bias, shortcut and ReLU, as an old cuDNN does.
    pub refuse_fusion: Cell<bool>,
    /// Bytes of memory, or `None` for no limit.
    pub capacity: Cell<Option<usize>>,
    /// Bytes in use. Freed memory counts until the next [`Engine::wait`], because a driver frees memory in the order of
    /// the stream.
    pub allocated: Cell<usize>,
    /// Bytes freed since the last wait.
    freed: Rc<Cell<usize>>,
    /// The shape and gradients of each call of [`Engine::prepare_convolution`].
    pub preparations: RefCell<Vec<(ConvShape, Gradients)>>,
    convolutions: ConvolutionCache<PlainConvolution>,
    /// The largest number of readbacks in flight, and the bytes of each, as reserved.
    reserved_readbacks: Cell<[usize; 2]>,
    readbacks_in_flight: Cell<usize>,
    /// The behaviour of [`Engine::record`].
    pub recording_mode: Cell<RecordingMode>,
    /// The calls recorded so far, or `None` while nothing is recorded.
    recorded: RefCell<Option<Vec<RecordedCall>>>,
    /// The number of replays so far.
    pub replays: Cell<usize>,
}

/// The behaviour of [`Engine::record`] on an emulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordingMode {
    /// Records.
    #[default]
    Supported,
    /// Returns `None`.
    Unsupported,
    /// Returns an error after the calls.
    Fails,
}

type Call = dyn Fn(&Emulator) -> Result<()>;

/// A kernel or a convolution with its arguments.
pub struct RecordedCall(Box<Call>);

impl std::fmt::Debug for RecordedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordedCall")
    }
}

/// The unit of allocation, with the alignment of a card's memory.
#[repr(align(256))]
#[derive(Clone, Copy, Debug)]
struct AlignedBlock(#[expect(dead_code, reason = "accessed through its address")] [u8; 256]);

/// Memory that counts its bytes when it is freed.
#[derive(Debug)]
pub struct EmulatedMemory {
    blocks: Box<[AlignedBlock]>,
    freed: Rc<Cell<usize>>,
}

impl Drop for EmulatedMemory {
    fn drop(&mut self) {
        self.freed.set(self.freed.get() + size_of_val(&*self.blocks));
    }
}

impl Emulator {
    /// Compiles the kernels. Returns `None`, and reports the reason as a skipped test, if there is no C++ compiler.
    pub fn new() -> Option<Self> {
        match library() {
            Ok(_) => Some(Self::default()),
            Err(reason) => {
                testing::skip(testing::Need::Gxx, reason);
                None
            }
        }
    }

    /// Runs `call`, or adds it to the recording in progress.
    fn enqueue(&self, call: impl Fn(&Self) -> Result<()> + 'static) -> Result<()> {
        match &mut *self.recorded.borrow_mut() {
            Some(recorded) => recorded.push(RecordedCall(Box::new(call))),
            None => return call(self),
        }
        Ok(())
    }

    /// Panics during a recording. Called by operations that a card cannot record.
    fn assert_not_recording(&self) {
        assert!(self.recorded.borrow().is_none(), "recordings must contain only kernels and convolutions");
    }
}

/// The compiled kernels, behind a lock because the emulated thread indices are global variables.
fn library() -> &'static std::result::Result<Mutex<Library>, String> {
    static LIBRARY: OnceLock<std::result::Result<Mutex<Library>, String>> = OnceLock::new();
    LIBRARY.get_or_init(compile)
}

#[expect(unsafe_code, reason = "loads the library that it has compiled")]
fn compile() -> std::result::Result<Mutex<Library>, String> {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let emulation = crate_root.join("src/cuda/test_support/emulation");
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let to = folder.path().join("kernels.so");
    let mut compiler = Command::new("g++");
    // Without fused multiply-adds, so that results match references in plain arithmetic.
    compiler.args(["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror"]);
    compiler.args(["-Wno-unknown-pragmas", "-Wno-sign-compare", "-I"]).arg(&emulation).args(["-x", "c++", "-o"]);
    compiler.arg(&to).arg(emulation.join("emulation.cpp"));
    for entry in std::fs::read_dir(crate_root.join("cuda")).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "cu") {
            compiler.arg(path);
        }
    }
    match compiler.output() {
        Err(error) => Err(format!("failed to run g++, which compiles the emulated kernels: {error}")),
        Ok(output) if !output.status.success() => {
            panic!("failed to compile the emulated kernels:\n{}", String::from_utf8_lossy(&output.stderr))
        }
        // SAFETY: the library's initialisers only register kernels in its own map.
        Ok(_) => unsafe { Library::new(&to) }.map(Mutex::new).map_err(|e| e.to_string()),
    }
}

#[expect(unsafe_code, reason = "addresses point into this process; callers of the engine pass valid ones")]
impl Engine for Emulator {
    type Memory = EmulatedMemory;
    type Convolution = PlainConvolution;
    type Readback = Vec<u8>;
    type Recording = Vec<RecordedCall>;

    fn allocate(&self, bytes: usize) -> Result<Self::Memory> {
        self.assert_not_recording();
        let byte = if self.poison.get() { 0xff } else { 0 };
        let blocks = bytes.div_ceil(size_of::<AlignedBlock>());
        let allocated = self.allocated.get() + blocks * size_of::<AlignedBlock>();
        if let Some(capacity) = self.capacity.get().filter(|&capacity| allocated > capacity) {
            return Err(Error::OutOfMemory { bytes, free: Some(capacity - self.allocated.get()) });
        }
        self.allocated.set(allocated);
        let blocks = vec![AlignedBlock([byte; 256]); blocks].into_boxed_slice();
        Ok(EmulatedMemory { blocks, freed: self.freed.clone() })
    }

    fn address(&self, memory: &Self::Memory) -> Address {
        memory.blocks.as_ptr() as Address
    }

    fn upload(&self, from: &[u8], to: Address) -> Result<()> {
        self.assert_not_recording();
        // SAFETY: the caller passes a valid address.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to as *mut u8, from.len()) };
        Ok(())
    }

    fn download(&self, from: Address, to: &mut [u8]) -> Result<()> {
        self.assert_not_recording();
        // SAFETY: the caller passes a valid address.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        self.assert_not_recording();
        self.allocated.set(self.allocated.get() - self.freed.take());
        Ok(())
    }

    fn upload_async(&self, _slot: usize, parts: &[(&[u8], Address)]) -> Result<()> {
        parts.iter().try_for_each(|&(from, to)| self.upload(from, to))
    }

    fn release_slot(&self, _slot: usize) -> Result<()> {
        self.assert_not_recording();
        Ok(())
    }

    fn reserve_readbacks(&self, count: usize, bytes: usize) -> Result<()> {
        let [_, largest] = self.reserved_readbacks.get();
        self.reserved_readbacks.set([count, bytes.max(largest)]);
        Ok(())
    }

    fn start_readback(&self, from: Address, bytes: usize) -> Result<Vec<u8>> {
        self.readbacks_in_flight.set(self.readbacks_in_flight.get() + 1);
        let [count, largest] = self.reserved_readbacks.get();
        let reserved = self.readbacks_in_flight.get() <= count && bytes <= largest;
        assert!(reserved, "a readback that was not reserved would allocate pinned memory");
        let mut values = vec![0; bytes];
        self.download(from, &mut values)?;
        Ok(values)
    }

    fn finish_readback(&self, readback: Vec<u8>) -> Result<Vec<u8>> {
        self.readbacks_in_flight.set(self.readbacks_in_flight.get() - 1);
        Ok(readback)
    }

    fn launch(&self, kernel: &'static str, grid: [u32; 2], args: &[Arg]) -> Result<()> {
        let args = args.to_vec();
        self.enqueue(move |_| {
            let mut pointers: Vec<_> = args.iter().map(Arg::as_ptr).collect();
            let name = CString::new(kernel).unwrap();
            let library = library().as_ref().unwrap().lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the symbol has this type in emulation.cpp, and the functions in `launch` match the arguments to
            // the kernel's signature.
            let status = unsafe {
                let emulate = library.get::<Emulate>(b"emulate").unwrap();
                emulate(name.as_ptr(), grid[0], grid[1], THREADS, pointers.as_mut_ptr())
            };
            if status == 0 { Ok(()) } else { Err(Error::UnknownKernel(kernel.to_owned())) }
        })
    }

    fn record(&self, enqueue: &mut dyn FnMut() -> Result<()>) -> Result<Option<Vec<RecordedCall>>> {
        if self.recording_mode.get() == RecordingMode::Unsupported {
            return Ok(None);
        }
        *self.recorded.borrow_mut() = Some(Vec::new());
        let enqueued = enqueue();
        let recorded = self.recorded.take();
        enqueued?;
        if self.recording_mode.get() == RecordingMode::Fails {
            // A card disables recording after the first failure.
            self.recording_mode.set(RecordingMode::Unsupported);
            return Err(Error::Driver { action: "record".to_owned(), message: "simulated failure".to_owned() });
        }
        Ok(recorded)
    }

    fn replay(&self, recording: &Vec<RecordedCall>) -> Result<()> {
        self.replays.set(self.replays.get() + 1);
        recording.iter().try_for_each(|RecordedCall(call)| call(self))
    }

    fn convolutions(&self) -> &ConvolutionCache<PlainConvolution> {
        &self.convolutions
    }

    fn prepare_convolution(
        &self,
        shape: &ConvShape,
        precision: Precision,
        gradients: Gradients,
    ) -> Result<(PlainConvolution, usize)> {
        self.preparations.borrow_mut().push((*shape, gradients));
        // Not zero, so that callers allocate scratch memory.
        Ok((PlainConvolution { shape: *shape, precision, gradients }, 256))
    }

    fn convolve(&self, conv: &PlainConvolution, _scratch: Scratch, x: Address, w: Address, y: Address) -> Result<()> {
        let conv = *conv;
        self.enqueue(move |_| {
            let [x_len, w_len, y_len] = conv.lens();
            let (x, w) = (conv.read(x, x_len), conv.read(w, w_len));
            let mut sums = vec![0.0; y_len];
            conv.for_each_product(|x_at, w_at, y_at| sums[y_at] += x[x_at] * w[w_at]);
            conv.write(&sums, y);
            Ok(())
        })
    }

    fn convolve_fused(&self, conv: &PlainConvolution, _scratch: Scratch, operands: FusedOperands) -> Result<()> {
        if self.refuse_fusion.get() {
            return Err(Error::FusionUnsupported("simulated failure".to_owned()));
        }
        let conv = *conv;
        self.enqueue(move |_| {
            let [x_len, w_len, y_len] = conv.lens();
            let outputs = conv.shape.outputs;
            let (x, w) = (conv.read(operands.x, x_len), conv.read(operands.weight, w_len));
            let bias = conv.read(operands.bias, outputs);
            let mut sums = match operands.shortcut {
                NULL => vec![0.0; y_len],
                shortcut => conv.read(shortcut, y_len),
            };
            conv.for_each_product(|x_at, w_at, y_at| sums[y_at] += x[x_at] * w[w_at]);
            let activated: Vec<f64> =
                sums.iter().enumerate().map(|(i, sum)| (sum + bias[i % outputs]).max(0.0)).collect();
            conv.write(&activated, operands.y);
            Ok(())
        })
    }

    fn input_gradient(
        &self,
        conv: &PlainConvolution,
        _scratch: Scratch,
        w: Address,
        dy: Address,
        dx: Address,
    ) -> Result<()> {
        let conv = *conv;
        assert!(conv.gradients.input, "the gradient was not requested when the convolution was prepared");
        self.enqueue(move |_| {
            let [x_len, w_len, y_len] = conv.lens();
            let (w, dy) = (conv.read(w, w_len), conv.read(dy, y_len));
            let mut sums = vec![0.0; x_len];
            conv.for_each_product(|x_at, w_at, y_at| sums[x_at] += dy[y_at] * w[w_at]);
            conv.write(&sums, dx);
            Ok(())
        })
    }

    fn weight_gradient(
        &self,
        conv: &PlainConvolution,
        _scratch: Scratch,
        x: Address,
        dy: Address,
        dw: Address,
    ) -> Result<()> {
        let conv = *conv;
        assert!(conv.gradients.weight, "the gradient was not requested when the convolution was prepared");
        self.enqueue(move |_| {
            let [x_len, w_len, y_len] = conv.lens();
            let (x, dy) = (conv.read(x, x_len), conv.read(dy, y_len));
            let mut sums = vec![0.0; w_len];
            conv.for_each_product(|x_at, w_at, y_at| sums[w_at] += dy[y_at] * x[x_at]);
            conv.write(&sums, dw);
            Ok(())
        })
    }
}
