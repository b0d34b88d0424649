//! Normal deviates, and noise that grows with the light.

use artifacts::random::{StandardNormal, Stream};

/// Normal deviates of mean 0 and variance 1, two at a time (G. Box and M. Muller, "A note on the generation of random
/// normal deviates", 1958).
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

/// Deviation of the noise at `light` in 0 to 1: a shot part whose variance is proportional to the light and a read part
/// that is always there (A. Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image
/// raw-data", 2008).
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
    fn deviates_have_the_moments_of_a_normal() {
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
