//! Grad-CAM: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization"
//! (arXiv 1610.02391).

use crate::batch::HeatMap;

/// The input of Grad-CAM: a layer's output and the gradient of one class's score with respect to it, both
/// `[images, height, width, channels]`.
#[derive(Clone, Debug)]
pub(crate) struct GradCam {
    /// The layer's output.
    pub(crate) activations: Vec<f32>,
    /// The score's gradient.
    pub(crate) gradients: Vec<f32>,
    /// Rows and columns.
    pub(crate) side: (usize, usize),
    /// Channels.
    pub(crate) channels: usize,
}

impl GradCam {
    /// Computes the map of each image: `relu(sum over channels of weight * activation)` (equation 2), where the
    /// weight of a channel is the mean of its gradient over all positions (equation 1).
    pub(crate) fn maps(&self) -> Vec<HeatMap> {
        let &Self { ref activations, ref gradients, side: (height, width), channels } = self;
        let len = height * width * channels;
        let images = activations.chunks_exact(len).zip(gradients.chunks_exact(len));
        images
            .map(|(activations, gradients)| {
                let weights = channel_means(gradients, channels);
                let value = |pixel: &[f32]| {
                    let sum: f64 = pixel.iter().zip(&weights).map(|(&value, weight)| f64::from(value) * weight).sum();
                    sum.max(0.0) as f32
                };
                HeatMap { values: activations.chunks_exact(channels).map(value).collect(), height, width }
            })
            .collect()
    }
}

fn channel_means(pixels: &[f32], channels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    for pixel in pixels.chunks_exact(channels) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(value);
        }
    }
    let count = (pixels.len() / channels) as f64;
    sums.into_iter().map(|sum| sum / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_channels_by_mean_gradient() {
        // Two positions, two channels: mean gradients 2 and -1.
        let grad_cam = GradCam {
            activations: vec![1.0, 1.0, 0.5, 3.0],
            gradients: vec![1.0, -2.0, 3.0, 0.0],
            side: (1, 2),
            channels: 2,
        };
        assert_eq!(grad_cam.maps(), [HeatMap { values: vec![1.0, 0.0], height: 1, width: 2 }]);
    }
}
