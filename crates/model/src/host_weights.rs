//! The weights of a network in host memory.

use std::cell::Cell;

use crate::error::Result;
use crate::flat_tensors::FlatTensors;
use crate::layers::LayerList;

/// Parameters, gradients and running statistics in host memory, shared by the CPU back end and the optimiser's moments.
#[derive(Debug)]
pub(crate) struct HostWeights {
    /// The trained tensors.
    pub(crate) parameters: FlatTensors,
    /// The gradients of the last step, in the order of the parameters.
    pub(crate) gradients: FlatTensors,
    /// The running statistics.
    pub(crate) statistics: FlatTensors,
    version: Cell<u64>,
}

impl HostWeights {
    /// Allocates zeros for the tensors of `layers`.
    pub(crate) fn zeros(layers: &LayerList) -> Result<Self> {
        Ok(Self {
            parameters: FlatTensors::zeros(&layers.parameters)?,
            gradients: FlatTensors::zeros(&layers.parameters)?,
            statistics: FlatTensors::zeros(&layers.statistics)?,
            version: Cell::new(0),
        })
    }

    /// Returns a number that changes whenever the parameters or the statistics change. Folded copies of the weights are
    /// then outdated.
    pub(crate) fn version(&self) -> u64 {
        self.version.get()
    }

    /// Records a change of the parameters or the statistics.
    pub(crate) fn mark_changed(&self) {
        self.version.set(self.version.get() + 1);
    }
}
