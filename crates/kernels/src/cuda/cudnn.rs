//! Convolutions through cuDNN, N,H,W,C with `[outputs, kernel, kernel, inputs]` weights.
//!
//! Algorithms are chosen once per shape by cuDNN's own ranking, not by timing, and only deterministic ones: the same seed
//! gives the same bits in every run on the same card and cuDNN.

use std::ffi::{c_int, c_void};

use cudarc::cudnn::result::{self, CudnnError};
use cudarc::cudnn::sys;

use super::descriptors::{ActivationDescriptor, ConvolutionDescriptor, FilterDescriptor, TensorDescriptor, math};
use super::engine::{Address, FusedOperands, NULL, Scratch};
use super::error::{Error, Result};
use super::requirements;
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

/// No algorithm may ask for more scratch memory than this.
const MAX_SCRATCH: usize = 1 << 30;
/// As many algorithms as cuDNN has for any direction, with each kind of arithmetic.
const MAX_RANKED: usize = 32;

/// cuDNN on one stream.
#[derive(Debug)]
pub(crate) struct Cudnn {
    handle: sys::cudnnHandle_t,
    relu: ActivationDescriptor,
}

/// A convolution with the algorithm of each direction.
#[derive(Debug)]
pub struct CudnnConvolution {
    shape: ConvShape,
    x: TensorDescriptor,
    y: TensorDescriptor,
    /// `[1, outputs, 1, 1]`.
    bias: TensorDescriptor,
    weight: FilterDescriptor,
    forward: Chosen<sys::cudnnConvolutionFwdAlgo_t>,
    /// None where it is not asked for.
    input: Option<Chosen<sys::cudnnConvolutionBwdDataAlgo_t>>,
    /// None where it is not asked for.
    filter: Option<Chosen<sys::cudnnConvolutionBwdFilterAlgo_t>>,
}

/// An algorithm with the arithmetic that it was ranked with.
#[derive(Debug)]
struct Chosen<A> {
    algorithm: A,
    operation: ConvolutionDescriptor,
    scratch: usize,
}

impl<A> Chosen<A> {
    /// What it is given of `scratch`: as much as it asked for, so that what it does cannot depend on who shares the memory.
    fn scratch_of(&self, scratch: Scratch) -> usize {
        debug_assert!(self.scratch <= scratch.bytes);
        self.scratch
    }
}

/// A line of cuDNN's ranking, which has a type of its own for each direction.
struct Ranked<A> {
    algorithm: A,
    usable: bool,
    scratch: usize,
    math: sys::cudnnMathType_t,
}

/// Asks cuDNN for the ranking of a direction: its function, the type of its lines, the descriptors it wants.
macro_rules! ranking {
    ($function:path, $line:ty, $handle:expr, $($descriptor:expr),*) => {{
        // SAFETY: zeroes are a valid value of these plain C structures, and `MAX_RANKED` of them are there to write.
        let mut lines = [unsafe { std::mem::zeroed::<$line>() }; MAX_RANKED];
        let mut count: c_int = 0;
        // SAFETY: all descriptors are live.
        unsafe { $function($handle, $($descriptor),*, MAX_RANKED as c_int, &mut count, lines.as_mut_ptr()) }.map(|()| {
            let ranked = |line: $line| Ranked {
                algorithm: line.algo,
                usable: line.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                    && line.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC,
                scratch: line.memory,
                math: line.mathType,
            };
            lines.into_iter().take(count as usize).map(ranked).collect::<Vec<_>>()
        })
    }};
}

#[expect(unsafe_code, reason = "cuDNN is C; descriptors live as long as their owners, addresses are the caller's")]
mod calls {
    use super::*;

    impl Cudnn {
        /// Fails unless there is a cuDNN that can be called.
        pub(crate) fn check() -> Result<()> {
            // SAFETY: looks for a library and opens it; running its initialisers is what loading a driver means.
            if !unsafe { sys::is_culib_present() } {
                return Err(Error::NoCudnn);
            }
            // It answers with a number; all other calls with a status, and one that is not known here must not be read.
            requirements::check_cudnn(Self::version())
        }

        /// The version of the cuDNN that is loaded, as it counts.
        pub(crate) fn version() -> usize {
            result::get_version()
        }

        /// cuDNN working on `stream`, which must outlive it.
        pub(crate) fn new(stream: cudarc::driver::sys::CUstream) -> Result<Self> {
            Self::check()?;
            let relu = ActivationDescriptor::relu().map_err(|error| fault("describe a ReLU", error))?;
            let handle = result::create_handle().map_err(|error| fault("start", error))?;
            let cudnn = Self { handle, relu };
            // SAFETY: the handle is live, the stream is one of the same context.
            unsafe { result::set_stream(handle, stream.cast()) }.map_err(|error| fault("take a stream", error))?;
            Ok(cudnn)
        }

        /// Chooses the algorithms of `shape`; with the scratch memory that they need.
        pub(crate) fn prepare(
            &self,
            shape: &ConvShape,
            precision: Precision,
            gradients: Gradients,
        ) -> Result<(CudnnConvolution, usize)> {
            let refused = |error| fault(&format!("plan {shape:?}"), error);
            let ConvShape { images, height, width, inputs, outputs, kernel, .. } = *shape;
            let (out_height, out_width) = shape.output();
            let x = TensorDescriptor::new(precision, [images, inputs, height, width]).map_err(refused)?;
            let y = TensorDescriptor::new(precision, [images, outputs, out_height, out_width]).map_err(refused)?;
            let bias = TensorDescriptor::new(precision, [1, outputs, 1, 1]).map_err(refused)?;
            let weight = FilterDescriptor::new(precision, [outputs, inputs, kernel, kernel]).map_err(refused)?;
            let asked = ConvolutionDescriptor::new(shape, math(precision)).map_err(refused)?;
            let (handle, of_x, of_w, of_y, asked) = (self.handle, x.0, weight.0, y.0, asked.0);
            let ranked = ranking!(
                result::get_convolution_forward_algorithm,
                sys::cudnnConvolutionFwdAlgoPerf_t,
                handle,
                of_x,
                of_w,
                asked,
                of_y
            );
            let forward = choose(shape, ranked.map_err(refused)?)?;
            let (mut input, mut filter) = (None, None);
            if gradients.input {
                let ranked = ranking!(
                    result::get_convolution_backward_data_algorithm,
                    sys::cudnnConvolutionBwdDataAlgoPerf_t,
                    handle,
                    of_w,
                    of_y,
                    asked,
                    of_x
                );
                input = Some(choose(shape, ranked.map_err(refused)?)?);
            }
            if gradients.weight {
                let ranked = ranking!(
                    result::get_convolution_backward_filter_algorithm,
                    sys::cudnnConvolutionBwdFilterAlgoPerf_t,
                    handle,
                    of_x,
                    of_y,
                    asked,
                    of_w
                );
                filter = Some(choose(shape, ranked.map_err(refused)?)?);
            }
            let of_input = input.as_ref().map_or(0, |input| input.scratch);
            let of_filter = filter.as_ref().map_or(0, |filter| filter.scratch);
            let scratch = forward.scratch.max(of_input).max(of_filter);
            Ok((CudnnConvolution { shape: *shape, x, y, bias, weight, forward, input, filter }, scratch))
        }

        /// `y = convolution of x and w`.
        pub(crate) fn forward(&self, by: &CudnnConvolution, scratch: Scratch, [x, w, y]: [Address; 3]) -> Result<()> {
            let (one, zero) = (scalar(&1.0), scalar(&0.0));
            // SAFETY: the descriptors are live; the engine's caller vouches for the addresses.
            unsafe {
                result::convolution_forward(
                    self.handle,
                    one,
                    by.x.0,
                    pointer(x),
                    by.weight.0,
                    pointer(w),
                    by.forward.operation.0,
                    by.forward.algorithm,
                    pointer(scratch.address),
                    by.forward.scratch_of(scratch),
                    zero,
                    by.y.0,
                    pointer(y),
                )
            }
            .map_err(|error| fault(&format!("convolve {:?}", by.shape), error))
        }

        /// `y = relu(convolution of x and w + bias + shortcut)`.
        ///
        /// # Errors
        /// [`Error::NoFusion`] where cuDNN has no such kernel for the shape.
        pub(crate) fn forward_fused(
            &self,
            by: &CudnnConvolution,
            scratch: Scratch,
            operands: FusedOperands,
        ) -> Result<()> {
            let FusedOperands { x, weight, bias, shortcut, y } = operands;
            // cuDNN wants a tensor in any case; times zero it is not read, and the output is one of the right shape.
            let (one, zero) = (scalar(&1.0), scalar(&0.0));
            let (of_shortcut, shortcut) = if shortcut == NULL { (zero, y) } else { (one, shortcut) };
            // SAFETY: as in `forward`.
            let done = unsafe {
                result::convolution_bias_activation_forward(
                    self.handle,
                    one,
                    by.x.0,
                    pointer(x),
                    by.weight.0,
                    pointer(weight),
                    by.forward.operation.0,
                    by.forward.algorithm,
                    pointer(scratch.address),
                    by.forward.scratch_of(scratch),
                    of_shortcut,
                    by.y.0,
                    pointer(shortcut),
                    by.bias.0,
                    pointer(bias),
                    self.relu.0,
                    by.y.0,
                    pointer(y),
                )
            };
            done.map_err(|error| match is_refused(error.0) {
                true => Error::NoFusion(format!("{:?}, {:?}", error.0, by.shape)),
                false => fault(&format!("convolve {:?} with its epilogue", by.shape), error),
            })
        }

        /// `dx = gradient of the input`.
        pub(crate) fn input_gradient(
            &self,
            by: &CudnnConvolution,
            scratch: Scratch,
            [w, dy, dx]: [Address; 3],
        ) -> Result<()> {
            let (one, zero) = (scalar(&1.0), scalar(&0.0));
            let chosen = by.input.as_ref().ok_or_else(|| by.nothing_chosen())?;
            // SAFETY: as in `forward`.
            unsafe {
                result::convolution_backward_data(
                    self.handle,
                    one,
                    by.weight.0,
                    pointer(w),
                    by.y.0,
                    pointer(dy),
                    chosen.operation.0,
                    chosen.algorithm,
                    pointer(scratch.address),
                    chosen.scratch_of(scratch),
                    zero,
                    by.x.0,
                    pointer(dx),
                )
            }
            .map_err(|error| fault(&format!("differentiate the input of {:?}", by.shape), error))
        }

        /// `dw = gradient of the weight`.
        pub(crate) fn weight_gradient(
            &self,
            by: &CudnnConvolution,
            scratch: Scratch,
            [x, dy, dw]: [Address; 3],
        ) -> Result<()> {
            let (one, zero) = (scalar(&1.0), scalar(&0.0));
            let chosen = by.filter.as_ref().ok_or_else(|| by.nothing_chosen())?;
            // SAFETY: as in `forward`.
            unsafe {
                result::convolution_backward_filter(
                    self.handle,
                    one,
                    by.x.0,
                    pointer(x),
                    by.y.0,
                    pointer(dy),
                    chosen.operation.0,
                    chosen.algorithm,
                    pointer(scratch.address),
                    chosen.scratch_of(scratch),
                    zero,
                    by.weight.0,
                    pointer(dw),
                )
            }
            .map_err(|error| fault(&format!("differentiate the weight of {:?}", by.shape), error))
        }
    }

    impl Drop for Cudnn {
        fn drop(&mut self) {
            // SAFETY: the handle is live, and nobody has it any more. A failure leaves nothing to be done.
            let _ = unsafe { result::destroy_handle(self.handle) };
        }
    }
}

impl CudnnConvolution {
    /// The error of a direction that has no algorithm.
    fn nothing_chosen(&self) -> Error {
        Error::NoAlgorithm(format!("{:?}", self.shape))
    }
}

/// The best usable line of a ranking.
fn choose<A>(shape: &ConvShape, ranking: Vec<Ranked<A>>) -> Result<Chosen<A>> {
    let best = ranking
        .into_iter()
        .find(|line| line.usable && line.scratch <= MAX_SCRATCH)
        .ok_or_else(|| Error::NoAlgorithm(format!("{shape:?}")))?;
    let operation =
        ConvolutionDescriptor::new(shape, best.math).map_err(|error| fault(&format!("set up {shape:?}"), error))?;
    Ok(Chosen { algorithm: best.algorithm, operation, scratch: best.scratch })
}

/// Whether cuDNN refuses what it was asked, before doing anything: its codes 2000 to 2999 are all kinds of
/// `CUDNN_STATUS_BAD_PARAM`, which some versions say of types that they do not combine, those up to 3999 all kinds of
/// `CUDNN_STATUS_NOT_SUPPORTED`.
fn is_refused(status: sys::cudnnStatus_t) -> bool {
    (2000..4000).contains(&(status as u32))
}

fn scalar(value: &f32) -> *const c_void {
    std::ptr::from_ref(value).cast()
}

/// An address as C knows it.
fn pointer(address: Address) -> *mut c_void {
    address as *mut c_void
}

fn fault(what: &str, error: CudnnError) -> Error {
    let mut message = format!("{:?}", error.0);
    if error.0 == sys::cudnnStatus_t::CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH {
        // The loader looks for `libcudnn.so` first, and finds that of the system where a folder of Python's has only
        // `libcudnn.so.9`.
        message.push_str(
            ": parts of two installations of cuDNN were found; take the folder of one out of LD_LIBRARY_PATH, or make a \
             link libcudnn.so to its libcudnn.so.9 in a folder that stands before all others there",
        );
    }
    Error::Cudnn { what: what.to_owned(), message }
}
