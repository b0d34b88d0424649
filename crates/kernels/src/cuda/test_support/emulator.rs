//! The device on the processor: the same `.cu` files compiled by `g++`, and convolutions as plain loops.

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};

use half::bf16;
use libloading::Library;

use crate::cuda::convolution_cache::ConvolutionCache;
use crate::cuda::engine::{Address, Arg, Engine, FusedOperands, NULL, Scratch, THREADS};
use crate::cuda::error::{Error, Result};
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

type Emulate = unsafe extern "C" fn(*const c_char, c_uint, c_uint, c_uint, *mut *mut c_void) -> c_int;

/// The emulation, with memory that can be poisoned.
#[derive(Debug, Default)]
pub struct Emulator {
    /// Whether new memory is NaN everywhere instead of zero, to find what is read before it is written.
    pub poison: Cell<bool>,
    /// Whether there is no convolution with bias, shortcut and ReLU.
    pub unfused: Cell<bool>,
    /// Bytes that there are; all that is asked for where nothing is said.
    pub room: Cell<Option<usize>>,
    /// Bytes that are allocated, or given back and not waited for: a card's driver gives memory back in the order of its work.
    pub taken: Cell<usize>,
    given_back: Rc<Cell<usize>>,
    /// The gradients that convolutions have been prepared for, each time that one was.
    pub preparations: RefCell<Vec<(ConvShape, Gradients)>>,
    convolutions: ConvolutionCache<PlainConvolution>,
    /// Readbacks that there may be at the same time, and the bytes of each.
    expected: Cell<[usize; 2]>,
    readbacks: Cell<usize>,
    /// What becomes of recordings.
    pub recording: Cell<RecordingMode>,
    /// What has been asked for since a recording began; nothing while none is made.
    recorded: RefCell<Option<Vec<Asked>>>,
    /// How many recordings have been asked for.
    pub replays: Cell<usize>,
}

/// What an emulation does when it is to record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordingMode {
    /// Records.
    #[default]
    Works,
    /// Says that it does not.
    Missing,
    /// Fails when all has been asked for.
    Fails,
}

type Work = dyn Fn(&Emulator) -> Result<()>;

/// A kernel or a convolution with its arguments, asked for.
pub struct Asked(Box<Work>);

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

/// Memory with the alignment that a card's has.
#[repr(align(256))]
#[derive(Clone, Copy, Debug)]
pub struct Line(#[expect(dead_code, reason = "reached by its address")] [u8; 256]);

/// Memory that says when it is given back.
#[derive(Debug)]
pub struct Lines {
    lines: Box<[Line]>,
    given_back: Rc<Cell<usize>>,
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.given_back.set(self.given_back.get() + size_of_val(&*self.lines));
    }
}

/// A convolution is its shape.
#[derive(Clone, Copy, Debug)]
pub struct PlainConvolution {
    shape: ConvShape,
    precision: Precision,
    gradients: Gradients,
}

impl Emulator {
    /// The emulation, or nothing, and why, where it cannot be compiled.
    pub fn new() -> Option<Self> {
        match library() {
            Ok(_) => Some(Self::default()),
            Err(reason) => {
                testing::skip(testing::Need::Gxx, reason);
                None
            }
        }
    }

    /// Does `work`, or keeps it for the recording that is being made.
    fn ask(&self, work: impl Fn(&Self) -> Result<()> + 'static) -> Result<()> {
        match &mut *self.recorded.borrow_mut() {
            Some(recorded) => recorded.push(Asked(Box::new(work))),
            None => return work(self),
        }
        Ok(())
    }

    /// Fails where a card could not do in a recording what is asked for.
    fn outside_of_recordings(&self) {
        assert!(self.recorded.borrow().is_none(), "a recording holds kernels and convolutions alone");
    }
}

/// The compiled kernels; one launch at a time, because the emulated indices are global.
fn library() -> &'static std::result::Result<Mutex<Library>, String> {
    static LIBRARY: OnceLock<std::result::Result<Mutex<Library>, String>> = OnceLock::new();
    LIBRARY.get_or_init(compile)
}

#[expect(unsafe_code, reason = "loads the library that was just compiled")]
fn compile() -> std::result::Result<Mutex<Library>, String> {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let emulation = crate_root.join("src/cuda/test_support/emulation");
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let to = folder.path().join("kernels.so");
    let mut compiler = Command::new("g++");
    // No contraction to fused operations, so that references written as plain arithmetic agree.
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
        Err(error) => Err(format!("the kernels' emulation needs g++: {error}")),
        Ok(output) if !output.status.success() => {
            panic!("the kernels do not compile for the emulation:\n{}", String::from_utf8_lossy(&output.stderr))
        }
        // SAFETY: the library's initialisers register kernels in a map of its own.
        Ok(_) => unsafe { Library::new(&to) }.map(Mutex::new).map_err(|e| e.to_string()),
    }
}

#[expect(unsafe_code, reason = "addresses are those of this process, as the engine's caller vouches")]
impl Engine for Emulator {
    type Memory = Lines;
    type Convolution = PlainConvolution;
    type Readback = Vec<u8>;
    type Recording = Vec<Asked>;

    fn allocate(&self, bytes: usize) -> Result<Self::Memory> {
        self.outside_of_recordings();
        let byte = if self.poison.get() { 0xff } else { 0 };
        let lines = bytes.div_ceil(size_of::<Line>());
        let taken = self.taken.get() + lines * size_of::<Line>();
        if self.room.get().is_some_and(|room| taken > room) {
            return Err(Error::NoRoom { bytes, free: self.room.get().map(|room| room - self.taken.get()) });
        }
        self.taken.set(taken);
        Ok(Lines { lines: vec![Line([byte; 256]); lines].into_boxed_slice(), given_back: self.given_back.clone() })
    }

    fn address(&self, memory: &Self::Memory) -> Address {
        memory.lines.as_ptr() as Address
    }

    fn upload(&self, from: &[u8], to: Address) -> Result<()> {
        self.outside_of_recordings();
        // SAFETY: the caller vouches for the address.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to as *mut u8, from.len()) };
        Ok(())
    }

    fn download(&self, from: Address, to: &mut [u8]) -> Result<()> {
        self.outside_of_recordings();
        // SAFETY: the caller vouches for the address.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        self.outside_of_recordings();
        self.taken.set(self.taken.get() - self.given_back.take());
        Ok(())
    }

    fn stage(&self, _slot: usize, parts: &[(&[u8], Address)]) -> Result<()> {
        parts.iter().try_for_each(|&(from, to)| self.upload(from, to))
    }

    fn consumed(&self, _slot: usize) -> Result<()> {
        self.outside_of_recordings();
        Ok(())
    }

    fn expect_readbacks(&self, count: usize, bytes: usize) -> Result<()> {
        let [_, room] = self.expected.get();
        self.expected.set([count, bytes.max(room)]);
        Ok(())
    }

    fn read_later(&self, from: Address, bytes: usize) -> Result<Vec<u8>> {
        self.readbacks.set(self.readbacks.get() + 1);
        let [count, room] = self.expected.get();
        assert!(self.readbacks.get() <= count && bytes <= room, "a card would have to pin memory for it");
        let mut values = vec![0; bytes];
        self.download(from, &mut values)?;
        Ok(values)
    }

    fn finish(&self, readback: Vec<u8>) -> Result<Vec<u8>> {
        self.readbacks.set(self.readbacks.get() - 1);
        Ok(readback)
    }

    fn launch(&self, kernel: &'static str, grid: [u32; 2], args: &[Arg]) -> Result<()> {
        let args = args.to_vec();
        self.ask(move |_| {
            let mut addresses: Vec<_> = args.iter().map(Arg::address).collect();
            let name = CString::new(kernel).unwrap();
            let library = library().as_ref().unwrap().lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the symbol has this type in emulation.cpp; `kernels.rs` matches arguments to signatures.
            let failed = unsafe {
                let emulate = library.get::<Emulate>(b"emulate").unwrap();
                emulate(name.as_ptr(), grid[0], grid[1], THREADS, addresses.as_mut_ptr())
            };
            if failed == 0 { Ok(()) } else { Err(Error::NoKernel(kernel.to_owned())) }
        })
    }

    fn record(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<Option<Vec<Asked>>> {
        if self.recording.get() == RecordingMode::Missing {
            return Ok(None);
        }
        *self.recorded.borrow_mut() = Some(Vec::new());
        let asked = work();
        let recorded = self.recorded.take();
        asked?;
        if self.recording.get() == RecordingMode::Fails {
            // As on a card, only once.
            self.recording.set(RecordingMode::Missing);
            return Err(Error::Driver { what: "record".to_owned(), message: "a test wants it".to_owned() });
        }
        Ok(recorded)
    }

    fn replay(&self, recording: &Vec<Asked>) -> Result<()> {
        self.replays.set(self.replays.get() + 1);
        recording.iter().try_for_each(|Asked(work)| work(self))
    }

    fn convolutions(&self) -> &ConvolutionCache<PlainConvolution> {
        &self.convolutions
    }

    fn prepare(
        &self,
        shape: &ConvShape,
        precision: Precision,
        gradients: Gradients,
    ) -> Result<(PlainConvolution, usize)> {
        self.preparations.borrow_mut().push((*shape, gradients));
        // Some scratch memory, so that its plumbing is used.
        Ok((PlainConvolution { shape: *shape, precision, gradients }, 256))
    }

    fn convolve(&self, by: &PlainConvolution, _scratch: Scratch, x: Address, w: Address, y: Address) -> Result<()> {
        let by = *by;
        self.ask(move |_| {
            let [x_len, w_len, y_len] = by.lens();
            let (x, w) = (by.read(x, x_len), by.read(w, w_len));
            let mut sums = vec![0.0; y_len];
            by.for_each_product(|x_at, w_at, y_at| sums[y_at] += x[x_at] * w[w_at]);
            by.write(&sums, y);
            Ok(())
        })
    }

    fn convolve_fused(&self, by: &PlainConvolution, _scratch: Scratch, operands: FusedOperands) -> Result<()> {
        if self.unfused.get() {
            return Err(Error::NoFusion("a test wants it".to_owned()));
        }
        let by = *by;
        self.ask(move |_| {
            let [x_len, w_len, y_len] = by.lens();
            let outputs = by.shape.outputs;
            let (x, w) = (by.read(operands.x, x_len), by.read(operands.weight, w_len));
            let bias = by.read(operands.bias, outputs);
            let mut sums = match operands.shortcut {
                NULL => vec![0.0; y_len],
                shortcut => by.read(shortcut, y_len),
            };
            by.for_each_product(|x_at, w_at, y_at| sums[y_at] += x[x_at] * w[w_at]);
            let activated: Vec<f64> =
                sums.iter().enumerate().map(|(i, sum)| (sum + bias[i % outputs]).max(0.0)).collect();
            by.write(&activated, operands.y);
            Ok(())
        })
    }

    fn input_gradient(
        &self,
        by: &PlainConvolution,
        _scratch: Scratch,
        w: Address,
        dy: Address,
        dx: Address,
    ) -> Result<()> {
        let by = *by;
        assert!(by.gradients.input, "nothing was prepared for it");
        self.ask(move |_| {
            let [x_len, w_len, y_len] = by.lens();
            let (w, dy) = (by.read(w, w_len), by.read(dy, y_len));
            let mut sums = vec![0.0; x_len];
            by.for_each_product(|x_at, w_at, y_at| sums[x_at] += dy[y_at] * w[w_at]);
            by.write(&sums, dx);
            Ok(())
        })
    }

    fn weight_gradient(
        &self,
        by: &PlainConvolution,
        _scratch: Scratch,
        x: Address,
        dy: Address,
        dw: Address,
    ) -> Result<()> {
        let by = *by;
        assert!(by.gradients.weight, "nothing was prepared for it");
        self.ask(move |_| {
            let [x_len, w_len, y_len] = by.lens();
            let (x, dy) = (by.read(x, x_len), by.read(dy, y_len));
            let mut sums = vec![0.0; w_len];
            by.for_each_product(|x_at, w_at, y_at| sums[w_at] += dy[y_at] * x[x_at]);
            by.write(&sums, dw);
            Ok(())
        })
    }
}

impl PlainConvolution {
    /// Elements of the input, the weight and the output.
    fn lens(&self) -> [usize; 3] {
        let ConvShape { images, height, width, inputs, outputs, kernel, .. } = self.shape;
        let (out_height, out_width) = self.shape.output();
        [
            images * height * width * inputs,
            outputs * kernel * kernel * inputs,
            images * out_height * out_width * outputs,
        ]
    }

    /// Calls `f` with the places of every input, weight and output that meet in a product.
    fn for_each_product(&self, mut f: impl FnMut(usize, usize, usize)) {
        let ConvShape { images, height, width, inputs, outputs, kernel, stride, padding } = self.shape;
        let (out_height, out_width) = self.shape.output();
        for pixel in 0..images * out_height * out_width {
            let (image, out_y, out_x) =
                (pixel / (out_height * out_width), pixel / out_width % out_height, pixel % out_width);
            for tap in 0..kernel * kernel {
                let y = (out_y * stride + tap / kernel).checked_sub(padding).filter(|&y| y < height);
                let x = (out_x * stride + tap % kernel).checked_sub(padding).filter(|&x| x < width);
                let (Some(y), Some(x)) = (y, x) else { continue };
                let from = ((image * height + y) * width + x) * inputs;
                for output in 0..outputs {
                    for input in 0..inputs {
                        let weight = (output * kernel * kernel + tap) * inputs + input;
                        f(from + input, weight, pixel * outputs + output);
                    }
                }
            }
        }
    }

    #[expect(unsafe_code, reason = "as for the engine")]
    fn read(&self, from: Address, len: usize) -> Vec<f64> {
        // SAFETY: the caller of the engine vouches for the addresses.
        match self.precision {
            Precision::Bf16 => {
                let stored = unsafe { std::slice::from_raw_parts(from as *const u16, len) };
                stored.iter().map(|&bits| bf16::from_bits(bits).to_f64()).collect()
            }
            _ => {
                let stored = unsafe { std::slice::from_raw_parts(from as *const f32, len) };
                stored.iter().map(|&value| f64::from(value)).collect()
            }
        }
    }

    #[expect(unsafe_code, reason = "as for the engine")]
    fn write(&self, values: &[f64], to: Address) {
        // SAFETY: as in `read`.
        match self.precision {
            Precision::Bf16 => {
                let stored = unsafe { std::slice::from_raw_parts_mut(to as *mut u16, values.len()) };
                stored.iter_mut().zip(values).for_each(|(to, &value)| *to = bf16::from_f64(value).to_bits());
            }
            _ => {
                let stored = unsafe { std::slice::from_raw_parts_mut(to as *mut f32, values.len()) };
                stored.iter_mut().zip(values).for_each(|(to, &value)| *to = value as f32);
            }
        }
    }
}
