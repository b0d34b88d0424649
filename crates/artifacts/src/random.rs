//! Reproducible random streams.
//!
//! A stream is derived from a seed, a purpose ("shuffle") and keys (an epoch, the index of an image, a run …). Results
//! therefore do not depend on the number of threads or on the order of their work.

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
