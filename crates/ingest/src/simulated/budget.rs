//! The size of a file, kept from telling the class.

/// The range of noise levels that are tried.
const NOISE: std::ops::Range<f32> = 0.0..0.25;
/// A file this close to its budget is close enough, in parts of the budget.
const TOLERANCE: f32 = 0.005;
/// Halvings of the range of noise levels.
const TRIES: usize = 9;

/// The file closest to `budget` bytes among those that `encode` makes at noise levels found by bisection. More noise
/// makes a longer file.
///
/// How well an image compresses tells apart how it was made, and a detector that reads the file's size has learnt
/// nothing about traces. So each path is set to the noise at which its file is as long as its budget, which comes from
/// the scene alone.
///
/// # Errors
/// What `encode` returns.
pub(super) fn spend<E>(budget: usize, encode: impl Fn(f32) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    let distance = |file: &Vec<u8>| file.len().abs_diff(budget);
    let (mut low, mut high) = (NOISE.start, NOISE.end);
    let mut best: Option<Vec<u8>> = None;
    for _ in 0..TRIES {
        let middle = 0.5 * (low + high);
        let file = encode(middle)?;
        if file.len() < budget {
            low = middle;
        } else {
            high = middle;
        }
        if best.as_ref().is_none_or(|best| distance(&file) < distance(best)) {
            best = Some(file);
        }
        if best.as_ref().is_some_and(|best| distance(best) as f32 <= TOLERANCE * budget as f32) {
            break;
        }
    }
    Ok(best.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_met() {
        let encode = |noise: f32| Ok::<_, ()>(vec![0; 1000 + (noise * 20_000.0) as usize]);
        for budget in [1200, 2000, 5000] {
            let length = spend(budget, encode).unwrap().len();
            assert!(length.abs_diff(budget) <= budget / 100, "{length}");
        }
    }

    #[test]
    fn out_of_reach_gives_the_nearest() {
        let encode = |noise: f32| Ok::<_, ()>(vec![0; 1000 + (noise * 1000.0) as usize]);
        let length = spend(10, encode).unwrap().len();
        assert!((1000..1010).contains(&length), "{length}");
    }
}
