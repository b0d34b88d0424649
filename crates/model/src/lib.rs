//! Networks: ResNet-50 with its weights, an optimiser and Grad-CAM, on the kernels of the crate `kernels`.
//!
//! A [`Network`] is a list of layers (`layers`) and a back end (`backend`) that owns the weights and runs the layers:
//! `cpu` for processors, or `cuda` with the feature of that name. The weights are stored in flat buffers. Each tensor
//! in a buffer has torchvision's name and can be read as a candle tensor.
//!
//! ```no_run
//! use model::{Adam, AdamConfig, Network, NetworkConfig, PixelBatch, weights};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut network = Network::new(&NetworkConfig::default(), &model::device::Device::Cpu)?;
//! network.initialise(0)?;
//! if let Some(path) = "resnet50.safetensors".parse::<weights::Source>()?.resolve()? {
//!     network.load(&path, &["layer4.".to_owned()])?;
//! }
//! let mut adam = Adam::new(AdamConfig::default(), &network)?;
//! let pixels = vec![0; 2 * 224 * 224 * 3];
//! let batch = PixelBatch { data: &pixels, n: 2, height: 224, width: 224 };
//! let step = network.train_step(&batch, &[0, 1])?;
//! adam.step(&mut network)?;
//! assert!(step.loss.is_finite());
//! # Ok(())
//! # }
//! ```

mod adam;
mod architecture;
mod averaged_weights;
mod backend;
mod backends;
mod batch;
mod config;
mod cost;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
pub mod device;
mod error;
mod flat_tensors;
mod grad_cam;
mod gradients;
pub mod graph;
mod host_weights;
mod layers;
mod named_tensors;
mod network;
#[cfg(test)]
mod option_tests;
mod precision;
mod shapes;
mod storage;
mod tensor_table;
pub mod weights;

pub use adam::{Adam, AdamConfig};
pub use architecture::ArchitectureError;
pub use averaged_weights::AveragedWeights;
pub use batch::{HeatMap, InputError, Logits, Normalisation, PixelBatch, StepOutput};
pub use config::NetworkConfig;
pub use cost::Cost;
pub use error::{Error, Result};
pub use gradients::{GradientSum, average_gradients, average_statistics, clip_gradients};
pub use layers::check_layer;
pub use network::Network;
pub use precision::{PrecisionChoice, UnknownPrecision};
pub use shapes::convolution_shapes;
