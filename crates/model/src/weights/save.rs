//! A network into a safetensors file that torchvision reads with `strict=True`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::network::Network;

impl Network {
    /// Writes parameters, running statistics and torchvision's batch counters with `metadata`, atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path, metadata: &BTreeMap<String, String>) -> Result<()> {
        let mut tensors = self.parameters()?;
        for (name, tensor) in self.statistics()? {
            if let Some(norm) = name.strip_suffix("running_mean") {
                let counter = Tensor::zeros((), DType::I64, &Device::Cpu)?;
                tensors.insert(format!("{norm}num_batches_tracked"), counter);
            }
            tensors.insert(name, tensor);
        }
        let metadata: HashMap<_, _> = metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let bytes = safetensors::serialize(&tensors, Some(metadata))
            .map_err(|source| Error::SafeTensors { path: path.to_owned(), source })?;
        Ok(artifacts::atomic::write_file(path, &bytes)?)
    }
}
