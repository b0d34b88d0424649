//! Detectors: ResNet-50 with training operations of its own, weights from safetensors, Grad-CAM.
//!
//! A [`Network`] is a list of layers (`architecture`), its parameters in one flat candle tensor with torchvision's names
//! as views (`parameters`), and a back end that walks the list over a workspace planned once per batch shape: `cpu`, or
//! `cuda` with the feature of that name, an `accelerator` with memory of its own.
//!
//! ```no_run
//! use model::{Adam, AdamConfig, Network, NetworkConfig, PixelBatch, weights};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut network = Network::new(&NetworkConfig::default(), &model::device::Device::Cpu)?;
//! network.initialise(0)?;
//! if let Some(path) = "resnet50.safetensors".parse::<weights::Source>()?.resolve()? {
//!     weights::load_into(&mut network, &path, &["layer4.".to_owned()])?;
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

mod accelerator;
mod adam;
mod architecture;
mod batch;
mod cost;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
pub mod device;
mod error;
mod grad_cam;
mod network;
mod parameters;
mod precision;
mod shapes;
mod storage;
pub mod weights;

pub use adam::{Adam, AdamConfig};
pub use architecture::check_layer;
pub use batch::{HeatMap, Logits, Normalisation, PixelBatch, StepOutput};
pub use cost::Cost;
pub use error::{Error, Result};
pub use network::{Network, NetworkConfig};
pub use precision::PrecisionChoice;
pub use shapes::convolution_shapes;
