//! Convolutions with cuDNN. Tensors are `[images, height, width, channels]`, weights `[outputs, kernel, kernel,
//! inputs]`.
//!
//! The algorithm for a shape is the first deterministic one in cuDNN's heuristic ranking. Nothing is timed, so that the
//! same seed gives the same bits in every run with the same card and cuDNN.

use std::ffi::{c_int, c_void};

use cudarc::cudnn::result::{self, CudnnError};
use cudarc::cudnn::sys;

use super::descriptors::{ActivationDescriptor, ConvolutionDescriptor, FilterDescriptor, TensorDescriptor, math_type};
use super::engine::{Address, FusedOperands, NULL, Scratch};
use super::error::{Error, Result};
use super::requirements;
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

/// The most scratch memory that an algorithm may need, in bytes.
const MAX_SCRATCH: usize = 1 << 30;
/// The capacity for a ranking: at least the number of cuDNN's algorithms for a direction times the number of math
/// types.
const MAX_RANKED: usize = 32;

/// A cuDNN handle that works on one stream.
#[derive(Debug)]
pub(crate) struct Cudnn {
    handle: sys::cudnnHandle_t,
    relu: ActivationDescriptor,
}

/// A convolution with the chosen algorithm of each direction.
#[derive(Debug)]
pub struct CudnnConvolution {
    shape: ConvShape,
    x: TensorDescriptor,
    y: TensorDescriptor,
    /// `[1, outputs, 1, 1]`.
    bias: TensorDescriptor,
    weight: FilterDescriptor,
    forward: ChosenAlgorithm<sys::cudnnConvolutionFwdAlgo_t>,
    /// `None` if the input gradient was not requested.
    input: Option<ChosenAlgorithm<sys::cudnnConvolutionBwdDataAlgo_t>>,
    /// `None` if the weight gradient was not requested.
    filter: Option<ChosenAlgorithm<sys::cudnnConvolutionBwdFilterAlgo_t>>,
}

/// An algorithm with the math type of its entry in the ranking.
#[derive(Debug)]
struct ChosenAlgorithm<A> {
    algorithm: A,
    operation: ConvolutionDescriptor,
    /// Bytes of scratch memory that the algorithm needs.
    scratch: usize,
}

impl<A> ChosenAlgorithm<A> {
    /// Returns the bytes of `scratch` to pass to cuDNN. They are exactly the bytes in the ranking, so that the result
    /// cannot depend on how much memory other convolutions need.
    fn scratch_bytes(&self, scratch: Scratch) -> usize {
        debug_assert!(self.scratch <= scratch.bytes);
        self.scratch
    }
}

/// An entry of cuDNN's ranking. In cuDNN, each direction has its own entry type.
struct RankedAlgorithm<A> {
    algorithm: A,
    /// Whether the algorithm is supported and deterministic.
    usable: bool,
    scratch: usize,
    math: sys::cudnnMathType_t,
}

/// Calls cuDNN's ranking function of a direction. `$entry` is the type of the function's entries.
macro_rules! ranking {
    ($function:path, $entry:ty, $handle:expr, $($descriptor:expr),*) => {{
        // SAFETY: all-zero bytes are a valid value of these C structs.
        let mut entries = [unsafe { std::mem::zeroed::<$entry>() }; MAX_RANKED];
        let mut count: c_int = 0;
        // SAFETY: all descriptors are live, and `entries` has room for `MAX_RANKED` entries.
        let result =
            unsafe { $function($handle, $($descriptor),*, MAX_RANKED as c_int, &mut count, entries.as_mut_ptr()) };
        result.map(|()| {
            let ranked = |entry: $entry| RankedAlgorithm {
                algorithm: entry.algo,
                usable: entry.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                    && entry.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC,
                scratch: entry.memory,
                math: entry.mathType,
            };
            entries.into_iter().take(count as usize).map(ranked).collect::<Vec<_>>()
        })
    }};
}

#[expect(unsafe_code, reason = "cuDNN is a C library; callers of the engine pass valid device addresses")]
mod calls {
    use super::*;

    impl Cudnn {
        /// Checks that cuDNN is installed and not too old.
        pub(crate) fn check() -> Result<()> {
            // SAFETY: only loads libcudnn, whose initialisers are sound to run.
            if !unsafe { sys::is_culib_present() } {
                return Err(Error::NoCudnn);
            }
            // Checked before any call that returns a status, because an unknown status code is not a valid enum value.
            requirements::check_cudnn(Self::version())
        }

        /// Returns the version of the loaded library, in the form of `cudnnGetVersion`.
        pub(crate) fn version() -> usize {
            result::get_version()
        }

        /// Creates a handle that works on `stream`, which must outlive it.
        pub(crate) fn new(stream: cudarc::driver::sys::CUstream) -> Result<Self> {
            Self::check()?;
            let relu = ActivationDescriptor::relu().map_err(|error| call_error("create a ReLU descriptor", error))?;
            let handle = result::create_handle().map_err(|error| call_error("initialise", error))?;
            let cudnn = Self { handle, relu };
            // SAFETY: the handle is live, and the stream belongs to the same context.
            unsafe { result::set_stream(handle, stream.cast()) }
                .map_err(|error| call_error("set its stream", error))?;
            Ok(cudnn)
        }

        /// Chooses the algorithms for `shape`. Returns them with the scratch memory that they need, in bytes.
        pub(crate) fn prepare(
            &self,
            shape: &ConvShape,
            precision: Precision,
            gradients: Gradients,
        ) -> Result<(CudnnConvolution, usize)> {
            let failed = |error| call_error(&format!("prepare {shape:?}"), error);
            let ConvShape { images, height, width, inputs, outputs, kernel, .. } = *shape;
            let (out_height, out_width) = shape.output();
            let x = TensorDescriptor::new(precision, [images, inputs, height, width]).map_err(failed)?;
            let y = TensorDescriptor::new(precision, [images, outputs, out_height, out_width]).map_err(failed)?;
            let bias = TensorDescriptor::new(precision, [1, outputs, 1, 1]).map_err(failed)?;
            let weight = FilterDescriptor::new(precision, [outputs, inputs, kernel, kernel]).map_err(failed)?;
            let operation = ConvolutionDescriptor::new(shape, math_type(precision)).map_err(failed)?;
            let (handle, x_shape, w_shape, y_shape, conv) = (self.handle, x.0, weight.0, y.0, operation.0);
            let ranked = ranking!(
                result::get_convolution_forward_algorithm,
                sys::cudnnConvolutionFwdAlgoPerf_t,
                handle,
                x_shape,
                w_shape,
                conv,
                y_shape
            );
            let forward = choose(shape, ranked.map_err(failed)?)?;
            let (mut input, mut filter) = (None, None);
            if gradients.input {
                let ranked = ranking!(
                    result::get_convolution_backward_data_algorithm,
                    sys::cudnnConvolutionBwdDataAlgoPerf_t,
                    handle,
                    w_shape,
                    y_shape,
                    conv,
                    x_shape
                );
                input = Some(choose(shape, ranked.map_err(failed)?)?);
            }
            if gradients.weight {
                let ranked = ranking!(
                    result::get_convolution_backward_filter_algorithm,
                    sys::cudnnConvolutionBwdFilterAlgoPerf_t,
                    handle,
                    x_shape,
                    y_shape,
                    conv,
                    w_shape
                );
                filter = Some(choose(shape, ranked.map_err(failed)?)?);
            }
            let input_scratch = input.as_ref().map_or(0, |input| input.scratch);
            let filter_scratch = filter.as_ref().map_or(0, |filter| filter.scratch);
            let scratch = forward.scratch.max(input_scratch).max(filter_scratch);
            Ok((CudnnConvolution { shape: *shape, x, y, bias, weight, forward, input, filter }, scratch))
        }

        /// Computes `y`, the convolution of `x` with the weight `w`.
        pub(crate) fn forward(&self, conv: &CudnnConvolution, scratch: Scratch, [x, w, y]: [Address; 3]) -> Result<()> {
            let (one, zero) = (scalar(&1.0), scalar(&0.0));
            // SAFETY: the descriptors are live; the caller of the engine passes valid addresses.
            unsafe {
                result::convolution_forward(
                    self.handle,
                    one,
                    conv.x.0,
                    pointer(x),
                    conv.weight.0,
                    pointer(w),
                    conv.forward.operation.0,
                    conv.forward.algorithm,
                    pointer(scratch.address),
                    conv.forward.scratch_bytes(scratch),
                    zero,
                    conv.y.0,
                    pointer(y),
                )
            }
            .map_err(|error| call_error(&format!("convolve {:?}", conv.shape), error))
        }

        /// Computes `y = relu(convolution of x and weight + bias + shortcut)`.
        ///
        /// # Errors
        /// [`Error::FusionUnsupported`] if cuDNN has no such kernel for the shape.
        pub(crate) fn forward_fused(
            &self,
            conv: &CudnnConvolution,
            scratch: Scratch,
            operands: FusedOperands,
        ) -> Result<()> {
            let FusedOperands { x, weight, bias, shortcut, y } = operands;
            // cuDNN requires a shortcut tensor, but does not read it if its factor is zero. The output is passed then.
            let (one, zero) = (scalar(&1.0), scalar(&0.0));
            let (shortcut_factor, shortcut) = if shortcut == NULL { (zero, y) } else { (one, shortcut) };
            // SAFETY: as in `forward`.
            let result = unsafe {
                result::convolution_bias_activation_forward(
                    self.handle,
                    one,
                    conv.x.0,
                    pointer(x),
                    conv.weight.0,
                    pointer(weight),
                    conv.forward.operation.0,
                    conv.forward.algorithm,
                    pointer(scratch.address),
                    conv.forward.scratch_bytes(scratch),
                    shortcut_factor,
                    conv.y.0,
                    pointer(shortcut),
                    conv.bias.0,
                    pointer(bias),
                    self.relu.0,
                    conv.y.0,
                    pointer(y),
                )
            };
            result.map_err(|error| match is_unsupported(error.0) {
                true => Error::FusionUnsupported(format!("{:?}, {:?}", error.0, conv.shape)),
                false => call_error(&format!("convolve {:?} with bias and ReLU", conv.shape), error),
            })
        }

        /// Computes `dx`, the gradient of the input.
        pub(crate) fn input_gradient(
            &self,
            conv: &CudnnConvolution,
            scratch: Scratch,
            [w, dy, dx]: [Address; 3],
        ) -> Result<()> {
            let (one, zero) = (scalar(&1.0), scalar(&0.0));
            let chosen = conv.input.as_ref().ok_or_else(|| conv.not_prepared())?;
            // SAFETY: as in `forward`.
            unsafe {
                result::convolution_backward_data(
                    self.handle,
                    one,
                    conv.weight.0,
                    pointer(w),
                    conv.y.0,
                    pointer(dy),
                    chosen.operation.0,
                    chosen.algorithm,
                    pointer(scratch.address),
                    chosen.scratch_bytes(scratch),
                    zero,
                    conv.x.0,
                    pointer(dx),
                )
            }
            .map_err(|error| call_error(&format!("compute the input gradient of {:?}", conv.shape), error))
        }

        /// Computes `dw`, the gradient of the weight.
        pub(crate) fn weight_gradient(
            &self,
            conv: &CudnnConvolution,
            scratch: Scratch,
            [x, dy, dw]: [Address; 3],
        ) -> Result<()> {
            let (one, zero) = (scalar(&1.0), scalar(&0.0));
            let chosen = conv.filter.as_ref().ok_or_else(|| conv.not_prepared())?;
            // SAFETY: as in `forward`.
            unsafe {
                result::convolution_backward_filter(
                    self.handle,
                    one,
                    conv.x.0,
                    pointer(x),
                    conv.y.0,
                    pointer(dy),
                    chosen.operation.0,
                    chosen.algorithm,
                    pointer(scratch.address),
                    chosen.scratch_bytes(scratch),
                    zero,
                    conv.weight.0,
                    pointer(dw),
                )
            }
            .map_err(|error| call_error(&format!("compute the weight gradient of {:?}", conv.shape), error))
        }
    }

    impl Drop for Cudnn {
        fn drop(&mut self) {
            // SAFETY: the handle is live and not used again. An error is ignored, since drop cannot report it.
            let _ = unsafe { result::destroy_handle(self.handle) };
        }
    }
}

impl CudnnConvolution {
    /// Returns the error for a gradient that was not requested when the convolution was prepared.
    fn not_prepared(&self) -> Error {
        Error::NoAlgorithm(format!("{:?}", self.shape))
    }
}

/// Returns the first usable algorithm of a ranking.
fn choose<A>(shape: &ConvShape, ranking: Vec<RankedAlgorithm<A>>) -> Result<ChosenAlgorithm<A>> {
    let best = ranking
        .into_iter()
        .find(|entry| entry.usable && entry.scratch <= MAX_SCRATCH)
        .ok_or_else(|| Error::NoAlgorithm(format!("{shape:?}")))?;
    let operation = ConvolutionDescriptor::new(shape, best.math)
        .map_err(|error| call_error(&format!("prepare {shape:?}"), error))?;
    Ok(ChosenAlgorithm { algorithm: best.algorithm, operation, scratch: best.scratch })
}

/// Whether the status means that cuDNN does not support the operation. Codes 3000 to 3999 are the subcodes of
/// `CUDNN_STATUS_NOT_SUPPORTED`. Codes 2000 to 2999 are the subcodes of `CUDNN_STATUS_BAD_PARAM`, which some versions
/// return for unsupported combinations of types.
fn is_unsupported(status: sys::cudnnStatus_t) -> bool {
    (2000..4000).contains(&(status as u32))
}

fn scalar(value: &f32) -> *const c_void {
    std::ptr::from_ref(value).cast()
}

/// Converts an address to a C pointer.
fn pointer(address: Address) -> *mut c_void {
    address as *mut c_void
}

/// Converts an error from cuDNN. `action` completes "failed to".
fn call_error(action: &str, error: CudnnError) -> Error {
    let mut message = format!("{:?}", error.0);
    if error.0 == sys::cudnnStatus_t::CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH {
        // The loader looks for `libcudnn.so` first. If a Python package has only `libcudnn.so.9`, the loader finds the
        // `libcudnn.so` of the system instead.
        message.push_str(
            ": parts of two cuDNN installations were loaded; remove one of their folders from LD_LIBRARY_PATH, or \
             prepend a folder with a link libcudnn.so to the libcudnn.so.9 to use",
        );
    }
    Error::Cudnn { action: action.to_owned(), message }
}
