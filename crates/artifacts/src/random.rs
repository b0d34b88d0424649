//! Reproducible random streams.
//!
//! A stream is derived from a seed, a purpose ("shuffle") and keys (an epoch, the index of an image, a run …). Results
//! therefore do not depend on the number of threads or on the order in which they work.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

/// The random number generator of every stream: ChaCha with 12 rounds, which gives the same numbers on all platforms.
pub type Stream = ChaCha12Rng;

/// Returns the random stream for `seed`, `purpose` and `keys`.
///
/// ```
/// use artifacts::random::stream;
/// use rand::RngExt;
/// let draw = |epoch| stream(7, "shuffle", &[epoch]).random::<u64>();
/// assert_eq!(draw(0), draw(0));
/// assert_ne!(draw(0), draw(1));
/// ```
pub fn stream(seed: u64, purpose: &str, keys: &[u64]) -> Stream {
    let mut hasher = blake3::Hasher::new_derive_key("candling random stream v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    for key in keys {
        hasher.update(&key.to_le_bytes());
    }
    ChaCha12Rng::from_seed(*hasher.finalize().as_bytes())
}

/// Floating-point types in which standard normal deviates can be drawn.
pub trait StandardNormal: Sized {
    /// Draws two independent deviates of the standard normal distribution by the transform of Box and Muller (1958,
    /// Annals of Mathematical Statistics 29).
    ///
    /// `rand_distr` has faster methods, but they would change existing data sets and initial weights.
    fn draw_pair(rng: &mut (impl Rng + ?Sized)) -> [Self; 2];
}

macro_rules! standard_normal {
    ($float:ident) => {
        impl StandardNormal for $float {
            fn draw_pair(rng: &mut (impl Rng + ?Sized)) -> [$float; 2] {
                // 1 - u is in (0, 1], so that the logarithm is finite.
                let radius = (-2.0 * (1.0 - rng.random::<$float>()).ln()).sqrt();
                let angle = std::$float::consts::TAU * rng.random::<$float>();
                [radius * angle.cos(), radius * angle.sin()]
            }
        }
    };
}

standard_normal!(f32);
standard_normal!(f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviates_have_moments_of_standard_normal() {
        let mut stream = stream(1, "normal test", &[]);
        let draws: Vec<f64> = (0..50_000).flat_map(|_| f64::draw_pair(&mut stream)).collect();
        let moment = |power| draws.iter().map(|draw| draw.powi(power)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.02);
        assert!((moment(2) - 1.0).abs() < 0.02);
        assert!(moment(3).abs() < 0.05);
        assert!((moment(4) - 3.0).abs() < 0.1);
    }
}
