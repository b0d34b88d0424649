//! Normally distributed random numbers, and the noise model of a sensor.

use artifacts::random::{StandardNormal, Stream};

/// Draws numbers from the standard normal distribution, in pairs (G. Box and M. Muller, "A note on the generation of
/// random normal deviates", 1958).
pub(super) struct Normal<'a> {
    stream: &'a mut Stream,
    spare: Option<f32>,
}

impl<'a> Normal<'a> {
    pub(super) fn new(stream: &'a mut Stream) -> Self {
        Self { stream, spare: None }
    }

    pub(super) fn draw(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let [first, second] = f32::draw_pair(self.stream);
        self.spare = Some(second);
        first
    }
}

/// Returns the standard deviation of the noise at `light`, from 0 to 1. The noise consists of shot noise, whose
/// variance is proportional to the light, and constant read noise (A. Foi et al., "Practical Poissonian-Gaussian noise
/// modeling and fitting for single-image raw-data", 2008).
pub(super) fn deviation(light: f32) -> f32 {
    const SHOT: f32 = 1.0;
    const READ: f32 = 0.02;
    (SHOT * light.max(0.0) + READ).sqrt()
}

#[cfg(test)]
mod tests {
    use artifacts::random::stream;

    use super::*;

    #[test]
    fn draws_have_the_moments_of_a_normal_distribution() {
        let mut stream = stream(1, "normal test", &[]);
        let mut normal = Normal::new(&mut stream);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| f64::from(normal.draw())).collect();
        let moment = |power| draws.iter().map(|d| d.powi(power)).sum::<f64>() / f64::from(n);
        assert!(moment(1).abs() < 0.02);
        assert!((moment(2) - 1.0).abs() < 0.02);
        assert!(moment(3).abs() < 0.05);
        assert!((moment(4) - 3.0).abs() < 0.1);
    }
}
