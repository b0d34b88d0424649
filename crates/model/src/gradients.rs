//! Changes to the gradients of a network between the backward pass and the optimiser: accumulation over several batches,
//! the mean over several processes, and clipping.
//!
//! They run in host memory. On a card, each change copies the gradients to the host and back.

use exchange::Exchange;
use rayon::prelude::*;

use crate::error::Result;
use crate::network::Network;

/// The number of elements per task. It determines the order of the sums, so that the number of threads does not change
/// them.
const CHUNK: usize = 1 << 16;
/// Added to the norm before the division, as `torch.nn.utils.clip_grad_norm_` does.
const EPS: f64 = 1e-6;

/// The gradients of several batches, added up so that one step has the gradient of the mean loss over all their images.
#[derive(Debug, Default)]
pub struct GradientSum {
    /// The sum of each batch's gradient times its number of images. Empty before the first batch.
    sum: Vec<f32>,
    images: f64,
}

impl GradientSum {
    /// Adds the gradients of the last step of `network`, whose batch had `images` images. If several processes compute the
    /// same images, each counts its share of them.
    ///
    /// # Errors
    /// The device failed.
    pub fn add(&mut self, network: &mut Network, images: f64) -> Result<()> {
        let factor = images as f32;
        self.images += images;
        network.edit_gradients(&mut |gradients| {
            if self.sum.is_empty() {
                self.sum = vec![0.0; gradients.len()];
            }
            let parts = self.sum.par_chunks_mut(CHUNK).zip(gradients.par_chunks(CHUNK));
            parts.for_each(|(sum, gradients)| {
                for (sum, gradient) in sum.iter_mut().zip(gradients) {
                    *sum += factor * gradient;
                }
            });
        })
    }

    /// Replaces the gradients of `network` by the mean over all images since the last call, and starts again from zero.
    /// Does nothing if nothing was added.
    ///
    /// # Errors
    /// The device failed.
    pub fn take_mean(&mut self, network: &mut Network) -> Result<()> {
        if self.images == 0.0 {
            return Ok(());
        }
        let images = self.images as f32;
        self.images = 0.0;
        network.edit_gradients(&mut |gradients| {
            let parts = self.sum.par_chunks_mut(CHUNK).zip(gradients.par_chunks_mut(CHUNK));
            parts.for_each(|(sum, gradients)| {
                for (sum, gradient) in sum.iter_mut().zip(gradients) {
                    *gradient = *sum / images;
                    *sum = 0.0;
                }
            });
        })
    }
}

/// Replaces the gradients of the last step by those of the mean loss over the images of all processes. `share` is the
/// share of these images that this process has.
///
/// # Errors
/// The device failed.
pub fn average_gradients(network: &mut Network, share: f64, exchange: &dyn Exchange) -> Result<()> {
    network.edit_gradients(&mut |gradients| average(gradients, share, exchange))
}

/// Replaces the running statistics by their mean over all processes, weighted with `share`, so that all processes have
/// the same ones. PyTorch keeps those of the first process instead.
///
/// # Errors
/// The device failed.
pub fn average_statistics(network: &mut Network, share: f64, exchange: &dyn Exchange) -> Result<()> {
    network.edit_weights(&mut |_, statistics| average(statistics, share, exchange))
}

/// Replaces values by their mean over all processes.
fn average(values: &mut [f32], share: f64, exchange: &dyn Exchange) {
    let share = share as f32;
    values.par_iter_mut().for_each(|value| *value *= share);
    exchange.sum_f32(values);
}

/// Scales the gradients of the last step down to the norm `highest` over all parameters if their norm is larger, as
/// `torch.nn.utils.clip_grad_norm_` does (Pascanu et al., arXiv 1211.5063). Returns the norm before.
///
/// # Errors
/// The device failed.
pub fn clip_gradients(network: &mut Network, highest: f64) -> Result<f64> {
    let mut norm = 0.0;
    network.edit_gradients(&mut |gradients| {
        let squares = |part: &[f32]| part.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>();
        let sums: Vec<f64> = gradients.par_chunks(CHUNK).map(squares).collect();
        norm = sums.iter().sum::<f64>().sqrt();
        let factor = highest / (norm + EPS);
        if factor < 1.0 {
            gradients.par_iter_mut().for_each(|gradient| *gradient *= factor as f32);
        }
    })?;
    Ok(norm)
}
