//! Peaks of a spectrum relative to their surroundings.
//!
//! Up-sampling by 2, 4 or 8 leaves a periodic pattern, which is a lattice of peaks in the spectrum (Zhang et al. 2019,
//! arXiv 1907.06515).

use super::features::Features;
use super::planes::TILE as SIDE;

/// The surroundings of a frequency are the square of this radius without the inner square of radius 1, which contains
/// the main lobe of the Hann window.
const RADIUS: isize = 3;

/// Appends the heights of the peaks at periods of 2, 4 and 8 pixels, along the axes and diagonally, and of the highest
/// peak elsewhere. `logs` is the logarithm of a power spectrum, `[SIDE, SIDE]`.
pub(super) fn describe(logs: &[f32], name: &str, features: &mut Features) {
    for period in [2, 4, 8] {
        // The odd multiples of the basic frequency; even ones belong to a shorter period.
        let multiples: Vec<usize> = (1..=period / 2).step_by(2).map(|multiple| multiple * SIDE / period).collect();
        let along = multiples.iter().flat_map(|&m| [[m, 0], [0, m]]);
        let across = multiples.iter().flat_map(|&m| multiples.iter().flat_map(move |&n| [[m, n], [SIDE - m, n]]));
        features.push(mean_height(logs, along), || format!("{name} spectrum: peaks at period {period}"));
        features.push(mean_height(logs, across), || format!("{name} spectrum: diagonal peaks at period {period}"));
    }
    features.push(highest_elsewhere(logs), || format!("{name} spectrum: highest other peak"));
}

fn mean_height(logs: &[f32], positions: impl Iterator<Item = [usize; 2]>) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0);
    for [x, y] in positions {
        sum += height(logs, SIDE, x, y);
        count += 1.0;
    }
    sum / count
}

/// Returns the logarithm at a frequency minus the mean of its surroundings. `logs` is `[side, side]` and periodic.
pub(super) fn height(logs: &[f32], side: usize, x: usize, y: usize) -> f32 {
    let mut sum = 0.0;
    for dy in -RADIUS..=RADIUS {
        let row = &logs[(y as isize + dy).rem_euclid(side as isize) as usize * side..][..side];
        for dx in -RADIUS..=RADIUS {
            if dx.abs() > 1 || dy.abs() > 1 {
                sum += row[(x as isize + dx).rem_euclid(side as isize) as usize];
            }
        }
    }
    let surroundings = (2 * RADIUS + 1) * (2 * RADIUS + 1) - 9;
    logs[y * side + x] - sum / surroundings as f32
}

/// Returns the height of the highest peak that is not near frequency 0 and not at a multiple of an eighth in both
/// directions.
fn highest_elsewhere(logs: &[f32]) -> f32 {
    const NEAR_ZERO: usize = 6;
    const LATTICE: usize = SIDE / 8;
    let near_lattice = |at: usize| matches!(at % LATTICE, 0 | 1) || at % LATTICE == LATTICE - 1;
    let mut highest = 0.0_f32;
    // The spectrum is symmetric.
    for y in 0..=SIDE / 2 {
        for x in 0..SIDE {
            let far = x.min(SIDE - x).max(y) >= NEAR_ZERO;
            if far && !(near_lattice(x) && near_lattice(y)) {
                highest = highest.max(height(logs, SIDE, x, y));
            }
        }
    }
    highest
}
