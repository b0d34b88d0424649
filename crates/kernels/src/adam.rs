//! One step of Adam (Kingma and Ba, arXiv 1412.6980) with `torch.optim.Adam`'s arithmetic.

use rayon::prelude::*;

/// The number of elements per task: small enough to balance the threads, large enough that starting a task costs
/// little.
const CHUNK: usize = 1 << 16;

/// The constants of one step, rounded where PyTorch rounds them. `AdamStep` in `cuda/adam.cu` has the same layout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// `1 - beta1`, computed in f64.
    pub one_minus_beta1: f32,
    /// `1 - beta2`, computed in f64.
    pub one_minus_beta2: f32,
    /// Learning rate divided by the bias correction of the first moment.
    pub step_size: f32,
    /// Square root of the bias correction of the second moment.
    pub root_correction: f32,
    /// Added to the denominator.
    pub eps: f32,
}

impl AdamStep {
    /// Updates the parameters `p` and the moments `m` and `v` with the gradient `g`. All slices have the same length.
    pub fn apply(self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        p.par_chunks_mut(CHUNK)
            .zip(g.par_chunks(CHUNK))
            .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
            .for_each(|((p, g), (m, v))| self.apply_chunk(p, g, m, v));
    }

    fn apply_chunk(self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            *m = self.beta1 * *m + self.one_minus_beta1 * g;
            *v = self.beta2 * *v + self.one_minus_beta2 * g * g;
            let denominator = v.sqrt() / self.root_correction + self.eps;
            *p -= self.step_size * (*m / denominator);
        }
    }
}
