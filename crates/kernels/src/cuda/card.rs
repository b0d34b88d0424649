//! The [`Engine`] of a CUDA card: context, streams, memory and compiled kernels.

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
use super::pinned::{PinnedBuffer, Readback, ReadbackPool, copy_parallel};
use super::requirements;
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// An open CUDA card.
pub struct Card {
    name: String,
    index: usize,
    precision: Precision,
    graphs: Graphs,
    functions: BTreeMap<String, CudaFunction>,
    cudnn: Cudnn,
    /// The staging buffers of [`Engine::upload_async`], by slot.
    staging: RefCell<Vec<StagingBuffer>>,
    readbacks: ReadbackPool,
    convolutions: ConvolutionCache<CudnnConvolution>,
    compute: Arc<CudaStream>,
    copies: Arc<CudaStream>,
    context: Arc<CudaContext>,
}

/// Pinned memory that a batch is copied through.
struct StagingBuffer {
    pinned: PinnedBuffer,
    /// An event that is recorded after the copy from the pinned memory to the device.
    sent: CudaEvent,
    /// An event that is recorded after the work that reads the copy on the device.
    released: CudaEvent,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cudnn = requirements::format_cudnn_version(Cudnn::version());
        write!(f, "cuda:{} ({}, {:?}, cuDNN {cudnn})", self.index, self.name, self.precision)
    }
}

impl Card {
    /// The precision of networks on this card.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of the card's memory that all programs together use, or `None` if the driver fails.
    #[must_use]
    pub fn memory_in_use(&self) -> Option<u64> {
        let (free, total) = self.context.mem_get_info().ok()?;
        Some(total.saturating_sub(free) as u64)
    }

    /// The state of CUDA graphs on this card.
    #[cfg(feature = "emulation")]
    #[must_use]
    pub fn graphs(&self) -> &Graphs {
        &self.graphs
    }

    fn function(&self, kernel: &str) -> Result<&CudaFunction> {
        self.functions.get(kernel).ok_or_else(|| Error::UnknownKernel(kernel.to_owned()))
    }

    fn event(&self) -> Result<CudaEvent> {
        self.context.new_event(None).map_err(driver("create an event"))
    }
}

#[expect(unsafe_code, reason = "the driver is a C library; callers of the engine pass valid device addresses")]
mod calls {
    use super::*;

    impl Card {
        /// Opens card `index`. Without a `precision`, networks use bf16 if the card has bf16 tensor cores, or else f32.
        ///
        /// # Errors
        /// The driver, cuDNN or the card is missing, too old or fails to start, or the card does not support
        /// `precision`.
        pub fn open(index: usize, precision: Option<Precision>) -> Result<Self> {
            // SAFETY: only loads libcuda, whose initialisers are sound to run.
            if !unsafe { cudarc::driver::sys::is_culib_present() } {
                return Err(Error::NoDriver);
            }
            let mut version = 0;
            // SAFETY: the function may be called before `cuInit`.
            unsafe { cudarc::driver::sys::cuDriverGetVersion(&mut version) }
                .result()
                .map_err(driver("report its version"))?;
            // Checked first, because an old driver lacks some of the functions that are called below.
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
            // SAFETY: all work runs on one stream, except for the copies of `upload_async`, which orders both streams
            // with its own events.
            unsafe { context.disable_event_tracking() };
            let name = context.name().map_err(driver("read the card's name"))?;
            let capability = context.compute_capability().map_err(driver("read the card's compute capability"))?;
            let precision = requirements::select_precision(&name, capability, precision)?;
            let compute = context.new_stream().map_err(driver("create a stream"))?;
            let copies = context.new_stream().map_err(driver("create a stream"))?;
            let mut functions = BTreeMap::new();
            for (names, binary) in KERNELS {
                let module = context.load_module(Ptx::from_binary(binary.to_vec())).map_err(driver("load kernels"))?;
                for &name in *names {
                    let function = module.load_function(name).map_err(driver(&format!("load kernel `{name}`")))?;
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
                readbacks: ReadbackPool::default(),
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
                allocation_error(bytes, error, free)
            })
        }

        fn address(&self, memory: &Self::Memory) -> Address {
            memory.device_ptr(&self.compute).0
        }

        fn upload(&self, from: &[u8], to: Address) -> Result<()> {
            // SAFETY: the caller passes a valid address; the driver reads pageable memory before the call returns.
            unsafe { result::memcpy_htod_async(to, from, self.compute.cu_stream()) }
                .map_err(driver("copy to the card"))?;
            self.wait()
        }

        fn download(&self, from: Address, to: &mut [u8]) -> Result<()> {
            // SAFETY: the caller passes a valid address; `to` is borrowed until `wait` returns.
            unsafe { result::memcpy_dtoh_async(to, from, self.compute.cu_stream()) }
                .map_err(driver("copy from the card"))?;
            self.wait()
        }

        fn wait(&self) -> Result<()> {
            self.compute.synchronize().map_err(driver("wait for the card"))
        }

        fn upload_async(&self, slot: usize, parts: &[(&[u8], Address)]) -> Result<()> {
            let total = parts.iter().map(|(from, _)| from.len()).sum();
            let mut staging = self.staging.borrow_mut();
            while staging.len() <= slot {
                let pinned = PinnedBuffer::new(&self.context, total)?;
                staging.push(StagingBuffer { pinned, sent: self.event()?, released: self.event()? });
            }
            let StagingBuffer { pinned, sent, released } = &mut staging[slot];
            sent.synchronize().map_err(driver("wait for a copy"))?;
            if pinned.len() < total {
                *pinned = PinnedBuffer::new(&self.context, total)?;
            }
            self.copies.wait(released).map_err(driver("synchronise its streams"))?;
            let mut offset = 0;
            for &(from, to) in parts {
                let pinned = &mut pinned.slice_mut()[offset..offset + from.len()];
                copy_parallel(from, pinned);
                if !from.is_empty() {
                    // SAFETY: the caller passes a valid address; the pinned memory is not changed before `sent`.
                    unsafe { result::memcpy_htod_async(to, pinned, self.copies.cu_stream()) }
                        .map_err(driver("copy a batch to the card"))?;
                }
                offset += from.len();
            }
            sent.record(&self.copies).map_err(driver("record an event"))?;
            self.compute.wait(sent).map_err(driver("synchronise its streams"))
        }

        fn release_slot(&self, slot: usize) -> Result<()> {
            match self.staging.borrow().get(slot) {
                Some(staging) => staging.released.record(&self.compute).map_err(driver("record an event")),
                None => Ok(()),
            }
        }

        fn reserve_readbacks(&self, count: usize, bytes: usize) -> Result<()> {
            self.readbacks.reserve(&self.context, count, bytes)
        }

        fn start_readback(&self, from: Address, bytes: usize) -> Result<Readback> {
            let mut readback = self.readbacks.take(&self.context, bytes)?;
            let to = &mut readback.pinned.slice_mut()[..bytes];
            // SAFETY: the caller passes a valid address; the pinned memory is not used before `done`.
            unsafe { result::memcpy_dtoh_async(to, from, self.compute.cu_stream()) }
                .map_err(driver("copy results from the card"))?;
            readback.done.record(&self.compute).map_err(driver("record an event"))?;
            Ok(readback)
        }

        fn finish_readback(&self, mut readback: Readback) -> Result<Vec<u8>> {
            readback.done.synchronize().map_err(driver("wait for results"))?;
            let values = readback.pinned.slice_mut()[..readback.len].to_vec();
            self.readbacks.recycle(readback);
            Ok(values)
        }

        fn launch(&self, kernel: &'static str, grid: [u32; 2], args: &[Arg]) -> Result<()> {
            let function = self.function(kernel)?;
            let mut pointers: Vec<_> = args.iter().map(Arg::as_ptr).collect();
            let (grid, stream) = ((grid[0], grid[1], 1), self.compute.cu_stream());
            self.context.bind_to_thread().map_err(driver("select the card"))?;
            // SAFETY: the functions in `launch` match the arguments to the kernel's signature; the driver copies them
            // before the call returns.
            unsafe { result::launch_kernel(function.cu_function(), grid, (THREADS, 1, 1), 0, stream, &mut pointers) }
                .map_err(driver(&format!("launch kernel `{kernel}`")))
        }

        fn record(&self, enqueue: &mut dyn FnMut() -> Result<()>) -> Result<Option<Graph>> {
            self.graphs.record(&self.compute, enqueue)
        }

        fn replay(&self, recording: &Graph) -> Result<()> {
            self.graphs.launch(recording)
        }

        fn convolutions(&self) -> &ConvolutionCache<CudnnConvolution> {
            &self.convolutions
        }

        fn prepare_convolution(
            &self,
            shape: &ConvShape,
            precision: Precision,
            gradients: Gradients,
        ) -> Result<(CudnnConvolution, usize)> {
            self.cudnn.prepare(shape, precision, gradients)
        }

        fn convolve(
            &self,
            convolution: &CudnnConvolution,
            scratch: Scratch,
            x: Address,
            w: Address,
            y: Address,
        ) -> Result<()> {
            self.cudnn.forward(convolution, scratch, [x, w, y])
        }

        fn convolve_fused(
            &self,
            convolution: &CudnnConvolution,
            scratch: Scratch,
            operands: FusedOperands,
        ) -> Result<()> {
            self.cudnn.forward_fused(convolution, scratch, operands)
        }

        fn input_gradient(
            &self,
            convolution: &CudnnConvolution,
            scratch: Scratch,
            w: Address,
            dy: Address,
            dx: Address,
        ) -> Result<()> {
            self.cudnn.input_gradient(convolution, scratch, [w, dy, dx])
        }

        fn weight_gradient(
            &self,
            convolution: &CudnnConvolution,
            scratch: Scratch,
            x: Address,
            dy: Address,
            dw: Address,
        ) -> Result<()> {
            self.cudnn.weight_gradient(convolution, scratch, [x, dy, dw])
        }
    }
}

/// Converts the driver's error for an allocation of `bytes`. `free` queries the free memory.
fn allocation_error(bytes: usize, error: DriverError, free: impl Fn() -> Option<usize>) -> Error {
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::OutOfMemory { bytes, free: free() },
        _ => driver(&format!("allocate {bytes} bytes"))(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_out_of_memory_with_the_free_memory() {
        let full = DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        assert!(matches!(allocation_error(7, full, || Some(3)), Error::OutOfMemory { bytes: 7, free: Some(3) }));
    }

    #[test]
    fn kernels_compile_without_warnings() {
        assert_eq!(NVCC_WARNINGS, "");
    }
}
