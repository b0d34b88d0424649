//! A session as the crate's accelerator, with Adam's moments beside it.

use std::rc::Rc;

use kernels::Precision;
use kernels::adam::AdamStep;
use kernels::cuda::{Engine, download, launch};

use super::parameters::Parameters;
use super::session::Session;
use crate::accelerator::{Accelerator, Moments, Outcome, Values};
use crate::architecture::Plan;
use crate::batch::{HeatMap, PixelBatch};
use crate::error::Result;

impl<E: Engine + std::fmt::Debug + 'static> Accelerator for Session<E> {
    fn upload(&mut self, parameters: &[f32], statistics: &[f32]) -> Result<()> {
        Ok(self.parameters().upload(&**self.engine(), parameters, statistics)?)
    }

    fn download(&self, values: Values, to: &mut [f32]) -> Result<()> {
        let (engine, parameters) = (&**self.engine(), self.parameters());
        match values {
            Values::Parameters => parameters.download(engine, to)?,
            Values::Gradients => parameters.download_gradients(engine, to)?,
            Values::Statistics => parameters.download_statistics(engine, to)?,
        }
        Ok(())
    }

    fn start_step(&mut self, plan: &Plan, batch: &PixelBatch<'_>, labels: &[u8]) -> Result<()> {
        Session::start_step(self, plan, batch, labels)
    }

    fn outcomes(&mut self) -> Result<Vec<Outcome>> {
        Session::outcomes(self)
    }

    fn start_inference(&mut self, plan: &Plan, batch: &PixelBatch<'_>) -> Result<()> {
        Session::start_inference(self, plan, batch)
    }

    fn inferences(&mut self) -> Result<Vec<Vec<f32>>> {
        Session::inferences(self)
    }

    fn forward_features(&mut self, plan: &Plan, batch: &PixelBatch<'_>) -> Result<Vec<f32>> {
        Session::forward_features(self, plan, batch)
    }

    fn backward_features(&mut self, gradient: &[f32]) -> Result<()> {
        Session::backward_features(self, gradient)
    }

    fn grad_cam(
        &mut self,
        plan: &Plan,
        batch: &PixelBatch<'_>,
        classes: &[u8],
        target: usize,
    ) -> Result<(Vec<HeatMap>, Vec<f32>)> {
        let (maps, [height, width], logits) = Session::grad_cam(self, plan, batch, classes, target)?;
        let maps = maps.chunks_exact(height * width);
        Ok((maps.map(|values| HeatMap { values: values.to_vec(), height, width }).collect(), logits))
    }

    fn moments(&self) -> Result<Box<dyn Moments>> {
        let (engine, parameters) = (self.engine().clone(), self.parameters().clone());
        let bytes = parameters.layout().lens()[0] * size_of::<f32>();
        let memory = [engine.allocate(bytes)?, engine.allocate(bytes)?];
        Ok(Box::new(OnDevice { engine, precision: self.precision(), parameters, memory }))
    }
}

/// Adam's mean and squares, in the parameters' layout.
#[derive(Debug)]
struct OnDevice<E: Engine> {
    engine: Rc<E>,
    precision: Precision,
    parameters: Rc<Parameters<E>>,
    memory: [E::Memory; 2],
}

impl<E: Engine + std::fmt::Debug> Moments for OnDevice<E> {
    fn step(&mut self, update: AdamStep) -> Result<()> {
        self.parameters.changes();
        let moments = self.memory.each_ref().map(|memory| self.engine.address(memory));
        let buffers = self.parameters.adam_buffers(moments);
        Ok(launch::adam(&*self.engine, self.precision, &buffers, update)?)
    }

    fn upload(&mut self, mean: &[f32], squares: &[f32]) -> Result<()> {
        for (memory, host) in self.memory.iter().zip([mean, squares]) {
            let device = self.parameters.layout().to_device(host);
            self.engine.upload(bytemuck::cast_slice(&device), self.engine.address(memory))?;
        }
        Ok(())
    }

    fn download(&self, mean: &mut [f32], squares: &mut [f32]) -> Result<()> {
        let layout = self.parameters.layout();
        for (memory, host) in self.memory.iter().zip([mean, squares]) {
            let device: Vec<f32> = download(&*self.engine, self.engine.address(memory), layout.lens()[0])?;
            layout.to_host(&device, host);
        }
        Ok(())
    }
}
