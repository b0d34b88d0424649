//! Adam's moments in device memory.

use std::rc::Rc;

use kernels::Precision;
use kernels::adam::AdamStep;
use kernels::cuda::{Engine, download, launch};

use super::parameters::Parameters;
use crate::backend::Moments;
use crate::error::Result;
use crate::flat_tensors::FlatTensors;
use crate::tensor_table::TensorTable;

/// Adam's first and second moments, in the layout of the parameters.
#[derive(Debug)]
pub(crate) struct CudaMoments<E: Engine> {
    engine: Rc<E>,
    precision: Precision,
    parameters: Rc<Parameters<E>>,
    table: TensorTable,
    memory: [E::Memory; 2],
}

impl<E: Engine> CudaMoments<E> {
    /// Allocates moments of zero for `parameters`. `table` is their layout on the host.
    pub(crate) fn new(
        engine: Rc<E>,
        precision: Precision,
        parameters: Rc<Parameters<E>>,
        table: TensorTable,
    ) -> Result<Self> {
        let bytes = parameters.layout().lens()[0] * size_of::<f32>();
        let memory = [engine.allocate(bytes)?, engine.allocate(bytes)?];
        Ok(Self { engine, precision, parameters, table, memory })
    }
}

impl<E: Engine + std::fmt::Debug> Moments for CudaMoments<E> {
    fn step(&mut self, step: AdamStep) -> Result<()> {
        self.parameters.mark_changed();
        let moments = self.memory.each_ref().map(|memory| self.engine.address(memory));
        let buffers = self.parameters.adam_buffers(moments);
        Ok(launch::adam(&*self.engine, self.precision, &buffers, step)?)
    }

    fn write(&mut self, first: &[f32], second: &[f32]) -> Result<()> {
        for (memory, host) in self.memory.iter().zip([first, second]) {
            let device = self.parameters.layout().to_device(host);
            self.engine.upload(bytemuck::cast_slice(&device), self.engine.address(memory))?;
        }
        Ok(())
    }

    fn tensors(&self) -> Result<[FlatTensors; 2]> {
        let layout = self.parameters.layout();
        let copy = |memory: &E::Memory| -> Result<FlatTensors> {
            let device: Vec<f32> = download(&*self.engine, self.engine.address(memory), layout.lens()[0])?;
            let copy = FlatTensors::zeros(&self.table)?;
            copy.write(|host| layout.to_host(&device, host))?;
            Ok(copy)
        };
        let [first, second] = &self.memory;
        Ok([copy(first)?, copy(second)?])
    }
}
