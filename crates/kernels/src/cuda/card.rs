//! A CUDA card: its context, streams, memory and compiled kernels.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaEvent, CudaFunction, CudaSlice, CudaStream, DevicePtr, DriverError, result};
use cudarc::nvrtc::Ptx;

use super::convolution_cache::ConvolutionCache;
use super::cudnn::{Cudnn, CudnnConvolution};
use super::engine::{Address, Arg, Engine, FusedOperands, Scratch, THREADS};
use super::error::{Error, Result, driver};
use super::graph::{Graph, Graphs};
use super::pinned::{self, Pinned, Readback, Readbacks};
use super::requirements;
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// A card with everything that computing on it needs.
pub struct Card {
    name: String,
    index: usize,
    precision: Precision,
    graphs: Graphs,
    functions: BTreeMap<String, CudaFunction>,
    cudnn: Cudnn,
    /// Pinned memory and the copies in flight from it, one for each slot of [`Engine::stage`].
    staging: RefCell<Vec<Staging>>,
    readbacks: Readbacks,
    convolutions: ConvolutionCache<CudnnConvolution>,
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

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cudnn = requirements::shown_cudnn(Cudnn::version());
        write!(f, "cuda:{} ({}, {:?}, cuDNN {cudnn})", self.index, self.name, self.precision)
    }
}

impl Card {
    /// What networks on it compute in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of the card's memory that are taken, by all programs.
    #[must_use]
    pub fn memory_in_use(&self) -> Option<u64> {
        let (free, total) = self.context.mem_get_info().ok()?;
        Some(total.saturating_sub(free) as u64)
    }

    /// Its CUDA graphs.
    #[cfg(feature = "emulation")]
    #[must_use]
    pub fn graphs(&self) -> &Graphs {
        &self.graphs
    }

    fn function(&self, kernel: &str) -> Result<&CudaFunction> {
        self.functions.get(kernel).ok_or_else(|| Error::NoKernel(kernel.to_owned()))
    }

    fn event(&self) -> Result<CudaEvent> {
        self.context.new_event(None).map_err(driver("make an event"))
    }
}

#[expect(unsafe_code, reason = "the driver is C; memory lives as long as its owners, addresses are the caller's")]
mod calls {
    use super::*;

    impl Card {
        /// The card `index`, or why it cannot be used. Without a `precision` it is bf16 where the card multiplies that.
        ///
        /// # Errors
        /// No driver, no cuDNN, no such card, one of them too old, one without bf16, or one that fails to start.
        pub fn open(index: usize, precision: Option<Precision>) -> Result<Self> {
            // SAFETY: looks for a library and opens it; running its initialisers is what loading a driver means.
            if !unsafe { cudarc::driver::sys::is_culib_present() } {
                return Err(Error::NoDriver);
            }
            let mut version = 0;
            // SAFETY: the driver need not have been started for this.
            unsafe { cudarc::driver::sys::cuDriverGetVersion(&mut version) }
                .result()
                .map_err(driver("say its version"))?;
            // Before all other calls, some of which an old one does not have.
            requirements::check_driver(version)?;
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
            let capability = context.compute_capability().map_err(driver("ask for the card's generation"))?;
            let precision = requirements::precision(&name, capability, precision)?;
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
            Ok(Self {
                name,
                index,
                precision,
                graphs: Graphs::from_environment(),
                functions,
                cudnn,
                staging: RefCell::default(),
                readbacks: Readbacks::default(),
                convolutions: ConvolutionCache::default(),
                compute,
                copies,
                context,
            })
        }
    }

    impl Engine for Card {
        type Memory = CudaSlice<u8>;
        type Convolution = CudnnConvolution;
        type Readback = Readback;
        type Recording = Graph;

        fn allocate(&self, bytes: usize) -> Result<Self::Memory> {
            self.compute.alloc_zeros(bytes).map_err(|error| {
                let free = || Some(self.context.mem_get_info().ok()?.0);
                not_allocated(bytes, error, free)
            })
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
            if pinned.len() < total {
                *pinned = Pinned::new(&self.context, total)?;
            }
            self.copies.wait(consumed).map_err(driver("order the streams"))?;
            let mut offset = 0;
            for &(from, to) in parts {
                let pinned = &mut pinned.slice_mut()[offset..offset + from.len()];
                pinned::copy(from, pinned);
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

        fn expect_readbacks(&self, count: usize, bytes: usize) -> Result<()> {
            self.readbacks.make_ready(&self.context, count, bytes)
        }

        fn read_later(&self, from: Address, bytes: usize) -> Result<Readback> {
            let mut readback = self.readbacks.take(&self.context, bytes)?;
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
            self.readbacks.give_back(readback);
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

        fn convolutions(&self) -> &ConvolutionCache<CudnnConvolution> {
            &self.convolutions
        }

        fn prepare(
            &self,
            shape: &ConvShape,
            precision: Precision,
            gradients: Gradients,
        ) -> Result<(CudnnConvolution, usize)> {
            self.cudnn.prepare(shape, precision, gradients)
        }

        fn convolve(&self, by: &CudnnConvolution, scratch: Scratch, x: Address, w: Address, y: Address) -> Result<()> {
            self.cudnn.forward(by, scratch, [x, w, y])
        }

        fn convolve_fused(&self, by: &CudnnConvolution, scratch: Scratch, operands: FusedOperands) -> Result<()> {
            self.cudnn.forward_fused(by, scratch, operands)
        }

        fn input_gradient(
            &self,
            by: &CudnnConvolution,
            scratch: Scratch,
            w: Address,
            dy: Address,
            dx: Address,
        ) -> Result<()> {
            self.cudnn.input_gradient(by, scratch, [w, dy, dx])
        }

        fn weight_gradient(
            &self,
            by: &CudnnConvolution,
            scratch: Scratch,
            x: Address,
            dy: Address,
            dw: Address,
        ) -> Result<()> {
            self.cudnn.weight_gradient(by, scratch, [x, dy, dw])
        }
    }
}

/// Why there is no memory of `bytes`; `free` asks how much there is.
fn not_allocated(bytes: usize, error: DriverError, free: impl Fn() -> Option<usize>) -> Error {
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::NoRoom { bytes, free: free() },
        _ => driver(&format!("allocate {bytes} bytes"))(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_runs_out_is_an_error_of_its_own() {
        let full = DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        assert!(matches!(not_allocated(7, full, || Some(3)), Error::NoRoom { bytes: 7, free: Some(3) }));
    }

    #[test]
    fn nvcc_has_nothing_to_say_of_the_kernels() {
        assert_eq!(NVCC_SAID, "");
    }
}
