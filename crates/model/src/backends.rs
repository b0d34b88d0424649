//! Creates the back end of a device.

use std::rc::Rc;

use crate::backend::Backend;
use crate::batch::Normalisation;
use crate::cpu::CpuBackend;
use crate::device::Device;
use crate::error::Result;
use crate::layers::LayerList;

/// Creates the back end of `device`, with allocated weights of unspecified values.
pub(crate) fn create(
    device: &Device,
    layers: &Rc<LayerList>,
    normalisation: Normalisation,
) -> Result<Box<dyn Backend>> {
    match device {
        Device::Cpu | Device::CpuBf16 => Ok(Box::new(CpuBackend::new(device.isa(), layers.clone(), normalisation)?)),
        #[cfg(feature = "cuda")]
        Device::Cuda(card) => {
            let precision = card.precision();
            Ok(Box::new(crate::cuda::CudaBackend::new(card.clone(), layers.clone(), precision, normalisation)?))
        }
    }
}
