//! Equal distributions of file sizes for both classes.
//!
//! How well an image compresses depends on how it was made, so a detector could learn the class from the file size
//! alone. The noise level of each image is therefore chosen so that its file reaches a target size. The target does not
//! depend on the class.

/// The range of noise levels that are tried.
const NOISE: std::ops::Range<f32> = 0.0..0.25;
/// The relative difference from the target size at which the search stops.
const TOLERANCE: f32 = 0.005;
/// The largest number of bisection steps.
const STEPS: usize = 9;

/// Searches by bisection for the noise level at which `encode` makes a file of `target` bytes. Returns the file whose
/// size is closest. More noise makes a longer file.
///
/// # Errors
/// The errors of `encode`.
pub(super) fn encode_to_size<E>(target: usize, encode: impl Fn(f32) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    Ok(closest_in_size(target, encode, Vec::len)?.unwrap_or_default())
}

/// Searches by bisection for the noise level at which `make` makes something of `target` bytes. Returns what is closest
/// in `size`, which grows with the noise level.
///
/// # Errors
/// The errors of `make`.
pub fn closest_in_size<T, E>(
    target: usize,
    make: impl Fn(f32) -> Result<T, E>,
    size: impl Fn(&T) -> usize,
) -> Result<Option<T>, E> {
    let distance = |made: &T| size(made).abs_diff(target);
    let (mut low, mut high) = (NOISE.start, NOISE.end);
    let mut best: Option<T> = None;
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        let made = make(middle)?;
        if size(&made) < target {
            low = middle;
        } else {
            high = middle;
        }
        if best.as_ref().is_none_or(|best| distance(&made) < distance(best)) {
            best = Some(made);
        }
        if best.as_ref().is_some_and(|best| distance(best) as f32 <= TOLERANCE * target as f32) {
            break;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_the_target_size() {
        let encode = |noise: f32| Ok::<_, ()>(vec![0; 1000 + (noise * 20_000.0) as usize]);
        for target in [1200, 2000, 5000] {
            let length = encode_to_size(target, encode).unwrap().len();
            assert!(length.abs_diff(target) <= target / 100, "{length}");
        }
    }

    #[test]
    fn returns_the_closest_file_for_an_unreachable_target() {
        let encode = |noise: f32| Ok::<_, ()>(vec![0; 1000 + (noise * 1000.0) as usize]);
        let length = encode_to_size(10, encode).unwrap().len();
        assert!((1000..1010).contains(&length), "{length}");
    }
}
