//! A CUDA card: its context, streams, memory and compiled kernels.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaEvent, CudaFunction, CudaSlice, CudaStream, DevicePtr, DriverError, result};
use cudarc::nvrtc::Ptx;

use super::convolution::{Convolution, Cudnn};
use super::engine::{Address, Arg, Engine, Geometry, Precision, Purpose, Scratch, THREADS};
use super::error::{Error, Result};
use super::folded::Fused;
use super::graph::{Graph, Graphs};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// The first generation with bf16 matrix units: Ampere, compute capability 8.0.
const BF16_GENERATION: i32 = 8;

/// A card with everything that computing on it needs.
pub(crate) struct Card {
    name: String,
    index: usize,
    precision: Precision,
    graphs: Graphs,
    functions: BTreeMap<String, CudaFunction>,
    cudnn: Cudnn,
    /// Pinned memory and the copies in flight from it, one for each slot of [`Engine::stage`].
    staging: RefCell<Vec<Staging>>,
    /// Finished readbacks, whose memory and events serve others.
    spare: RefCell<Vec<Readback>>,
    compute: Arc<CudaStream>,
    copies: Arc<CudaStream>,
    context: Arc<CudaContext>,
}

/// A slot's pinned copy of what is sent.
struct Staging {
    pinned: Pinned,
    /// The copy from the pinned memory.
    sent: CudaEvent,
    /// The last reading of what was sent.
    consumed: CudaEvent,
}

/// Host memory that the card copies from and to by itself.
struct Pinned {
    bytes: *mut u8,
    len: usize,
    context: Arc<CudaContext>,
}

/// A copy to the host under way.
pub(crate) struct Readback {
    pinned: Pinned,
    len: usize,
    done: CudaEvent,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cuda:{} ({}, {:?})", self.index, self.name, self.precision)
    }
}

impl std::fmt::Debug for Readback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Readback of {} bytes", self.len)
    }
}

impl Card {
    /// What networks on it compute in.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of the card's memory that are taken, by all programs.
    pub(crate) fn memory_in_use(&self) -> Option<u64> {
        let (free, total) = self.context.mem_get_info().ok()?;
        Some(total.saturating_sub(free) as u64)
    }

    /// Its CUDA graphs.
    #[cfg(test)]
    pub(crate) fn graphs(&self) -> &Graphs {
        &self.graphs
    }

    fn function(&self, kernel: &str) -> Result<&CudaFunction> {
        self.functions.get(kernel).ok_or_else(|| Error::NoKernel(kernel.to_owned()))
    }

    fn event(&self) -> Result<CudaEvent> {
        self.context.new_event(None).map_err(driver("make an event"))
    }

    /// A readback of `len` bytes that has not been asked for: a finished one that is large enough, or a new one.
    fn readback(&self, len: usize) -> Result<Readback> {
        let mut spare = self.spare.borrow_mut();
        match spare.iter().position(|readback| readback.pinned.len >= len) {
            Some(i) => Ok(Readback { len, ..spare.swap_remove(i) }),
            None => Ok(Readback { pinned: Pinned::new(&self.context, len)?, len, done: self.event()? }),
        }
    }
}

#[expect(unsafe_code, reason = "the driver is C; memory lives as long as its owners, addresses are the caller's")]
mod calls {
    use super::*;

    impl Card {
        /// The card `index`, or why it cannot be used. Without a `precision` it is bf16 where the card multiplies that.
        pub(crate) fn open(index: usize, precision: Option<Precision>) -> Result<Self> {
            // SAFETY: looks for a library and opens it; running its initialisers is what loading a driver means.
            if !unsafe { cudarc::driver::sys::is_culib_present() } {
                return Err(Error::NoDriver);
            }
            match result::init() {
                Err(error) if error.0 == CUresult::CUDA_ERROR_NO_DEVICE => {
                    return Err(Error::NoCard { index, count: 0 });
                }
                other => other.map_err(driver("start"))?,
            }
            let count = usize::try_from(CudaContext::device_count().map_err(driver("count the cards"))?).unwrap_or(0);
            if index >= count {
                return Err(Error::NoCard { index, count });
            }
            let context = CudaContext::new(index).map_err(driver("open the card"))?;
            // SAFETY: memory is used on one stream, and across the two where `stage` orders them by events of its own.
            unsafe { context.disable_event_tracking() };
            let name = context.name().map_err(driver("name the card"))?;
            let (generation, _) = context.compute_capability().map_err(driver("ask for the card's generation"))?;
            let best = if generation >= BF16_GENERATION { Precision::Bf16 } else { Precision::F32 };
            let precision = precision.unwrap_or(best);
            let compute = context.new_stream().map_err(driver("make a stream"))?;
            let copies = context.new_stream().map_err(driver("make a stream"))?;
            let mut functions = BTreeMap::new();
            for (names, binary) in KERNELS {
                let module = context.load_module(Ptx::from_binary(binary.to_vec())).map_err(driver("load kernels"))?;
                for &name in *names {
                    let function = module.load_function(name).map_err(driver(name))?;
                    functions.insert(name.to_owned(), function);
                }
            }
            let cudnn = Cudnn::new(compute.cu_stream())?;
            let (staging, spare) = (RefCell::default(), RefCell::default());
            let graphs = Graphs::from_environment();
            Ok(Self { name, index, precision, graphs, functions, cudnn, staging, spare, compute, copies, context })
        }
    }

    impl Engine for Card {
        type Memory = CudaSlice<u8>;
        type Convolution = Convolution;
        type Readback = Readback;
        type Recording = Graph;

        fn allocate(&self, bytes: usize) -> Result<Self::Memory> {
            self.compute.alloc_zeros(bytes).map_err(|error| driver(&format!("allocate {bytes} bytes"))(error))
        }

        fn address(&self, memory: &Self::Memory) -> Address {
            memory.device_ptr(&self.compute).0
        }

        fn upload(&self, from: &[u8], to: Address) -> Result<()> {
            // SAFETY: the caller vouches for the address; pageable memory is read before the call returns.
            unsafe { result::memcpy_htod_async(to, from, self.compute.cu_stream()) }
                .map_err(driver("copy to the card"))?;
            self.wait()
        }

        fn download(&self, from: Address, to: &mut [u8]) -> Result<()> {
            // SAFETY: the caller vouches for the address; the stream is waited for before `to` is given back.
            unsafe { result::memcpy_dtoh_async(to, from, self.compute.cu_stream()) }
                .map_err(driver("copy from the card"))?;
            self.wait()
        }

        fn wait(&self) -> Result<()> {
            self.compute.synchronize().map_err(driver("wait for the card"))
        }

        fn stage(&self, slot: usize, parts: &[(&[u8], Address)]) -> Result<()> {
            let total = parts.iter().map(|(from, _)| from.len()).sum();
            let mut staging = self.staging.borrow_mut();
            while staging.len() <= slot {
                let (sent, consumed) = (self.event()?, self.event()?);
                staging.push(Staging { pinned: Pinned::new(&self.context, total)?, sent, consumed });
            }
            let Staging { pinned, sent, consumed } = &mut staging[slot];
            sent.synchronize().map_err(driver("wait for a copy"))?;
            if pinned.len < total {
                *pinned = Pinned::new(&self.context, total)?;
            }
            self.copies.wait(consumed).map_err(driver("order the streams"))?;
            let mut offset = 0;
            for &(from, to) in parts {
                let pinned = &mut pinned.slice_mut()[offset..offset + from.len()];
                pinned.copy_from_slice(from);
                if !from.is_empty() {
                    // SAFETY: the caller vouches for the address; `sent` guards the pinned memory.
                    unsafe { result::memcpy_htod_async(to, pinned, self.copies.cu_stream()) }
                        .map_err(driver("copy a batch to the card"))?;
                }
                offset += from.len();
            }
            sent.record(&self.copies).map_err(driver("mark a copy"))?;
            self.compute.wait(sent).map_err(driver("order the streams"))
        }

        fn consumed(&self, slot: usize) -> Result<()> {
            match self.staging.borrow().get(slot) {
                Some(staging) => staging.consumed.record(&self.compute).map_err(driver("mark a reading")),
                None => Ok(()),
            }
        }

        fn read_later(&self, from: Address, bytes: usize) -> Result<Readback> {
            let mut readback = self.readback(bytes)?;
            let to = &mut readback.pinned.slice_mut()[..bytes];
            // SAFETY: the caller vouches for the address; `done` guards the pinned memory.
            unsafe { result::memcpy_dtoh_async(to, from, self.compute.cu_stream()) }
                .map_err(driver("copy results from the card"))?;
            readback.done.record(&self.compute).map_err(driver("mark a copy"))?;
            Ok(readback)
        }

        fn finish(&self, mut readback: Readback) -> Result<Vec<u8>> {
            readback.done.synchronize().map_err(driver("wait for results"))?;
            let values = readback.pinned.slice_mut()[..readback.len].to_vec();
            self.spare.borrow_mut().push(readback);
            Ok(values)
        }

        fn launch(&self, kernel: &'static str, grid: [u32; 2], args: &[Arg]) -> Result<()> {
            let function = self.function(kernel)?;
            let mut addresses: Vec<_> = args.iter().map(Arg::address).collect();
            let (grid, stream) = ((grid[0], grid[1], 1), self.compute.cu_stream());
            self.context.bind_to_thread().map_err(driver("select the card"))?;
            // SAFETY: `kernels.rs` matches the arguments to the kernel's signature; the driver copies them before the
            // call returns.
            unsafe { result::launch_kernel(function.cu_function(), grid, (THREADS, 1, 1), 0, stream, &mut addresses) }
                .map_err(driver(kernel))
        }

        fn record(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<Option<Graph>> {
            self.graphs.record(&self.compute, work)
        }

        fn replay(&self, recording: &Graph) -> Result<()> {
            self.graphs.start(recording)
        }

        fn prepare(&self, geometry: &Geometry, precision: Precision, purpose: Purpose) -> Result<(Convolution, usize)> {
            self.cudnn.prepare(geometry, precision, purpose)
        }

        fn convolve(&self, by: &Convolution, scratch: Scratch, x: Address, w: Address, y: Address) -> Result<()> {
            self.cudnn.forward(by, scratch, [x, w, y])
        }

        fn convolve_fused(&self, by: &Convolution, scratch: Scratch, operands: Fused) -> Result<()> {
            self.cudnn.forward_fused(by, scratch, operands)
        }

        fn input_gradient(
            &self,
            by: &Convolution,
            scratch: Scratch,
            w: Address,
            dy: Address,
            dx: Address,
        ) -> Result<()> {
            self.cudnn.input_gradient(by, scratch, [w, dy, dx])
        }

        fn weight_gradient(
            &self,
            by: &Convolution,
            scratch: Scratch,
            x: Address,
            dy: Address,
            dw: Address,
        ) -> Result<()> {
            self.cudnn.weight_gradient(by, scratch, [x, dy, dw])
        }
    }

    impl Pinned {
        pub(super) fn new(context: &Arc<CudaContext>, len: usize) -> Result<Self> {
            context.bind_to_thread().map_err(driver("select the card"))?;
            let len = len.max(1);
            // SAFETY: the memory is this structure's until it is dropped.
            let bytes =
                unsafe { result::malloc_host(len, 0) }.map_err(|error| driver(&format!("pin {len} bytes"))(error))?;
            // SAFETY: `len` bytes were allocated; they are zeroed so that slices of them are initialised.
            unsafe { bytes.cast::<u8>().write_bytes(0, len) };
            Ok(Self { bytes: bytes.cast(), len, context: context.clone() })
        }

        pub(super) fn slice_mut(&mut self) -> &mut [u8] {
            // SAFETY: `len` initialised bytes that nobody else has; the owners wait for copies before they look.
            unsafe { std::slice::from_raw_parts_mut(self.bytes, self.len) }
        }
    }

    impl Drop for Pinned {
        fn drop(&mut self) {
            // SAFETY: allocated by `malloc_host`; copies from and to it are waited for. Failures leave nothing to do.
            let _ = self.context.bind_to_thread().and_then(|()| self.context.synchronize());
            let _ = unsafe { result::free_host(self.bytes.cast()) };
        }
    }
}

/// Turns the driver's error into this crate's, with what was attempted.
pub(crate) fn driver(what: &str) -> impl Fn(DriverError) -> Error + '_ {
    move |error| {
        let text = error.error_string().map(|text| text.to_string_lossy().into_owned());
        Error::Driver { what: what.to_owned(), message: text.unwrap_or_else(|_| format!("{:?}", error.0)) }
    }
}
