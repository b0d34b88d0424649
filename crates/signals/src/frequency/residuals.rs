//! Statistics of residuals: how strong they are, how they are distributed, and how neighbours and colours correlate.

use super::features::Features;
use super::planes::{PLANE_NAMES, Plane, Window, dot, moments, sum};

/// Keeps logarithms and quotients of flat images finite. In levels; the rounding to whole levels has a deviation of
/// 0.29.
const FLOOR: f64 = 0.05;

/// Offsets in x and y at which neighbouring values are correlated.
const LAGS: [[isize; 2]; 6] = [[1, 0], [0, 1], [1, 1], [-1, 1], [2, 0], [0, 2]];

/// The quantiles of magnitudes, in percent.
const QUANTILES: [usize; 5] = [50, 75, 90, 95, 99];

/// Thresholds in levels for the shares of small values.
const SMALL: [f64; 3] = [0.5, 1.5, 3.5];

/// Bins of the histogram of magnitudes, for each level.
const BINS_PER_LEVEL: usize = 8;

/// The magnitude in levels from which all are in the last bin.
const MAX_LEVEL: usize = 128;

/// The side of the cells whose noise is compared, in pixels.
const CELL: usize = 8;

/// The ranges of brightness in which the noise is compared; each has 64 levels of luma.
const BANDS: usize = 4;

pub(super) fn describe(window: &Window, features: &mut Features) {
    let residuals = [("Laplacian", &window.laplacians), ("median residual", &window.medians)];
    for (residual, planes) in residuals {
        let variances: Vec<f64> = planes.iter().map(variance).collect();
        for ((plane, values), &variance) in PLANE_NAMES.iter().zip(planes).zip(&variances) {
            distribution(values, variance.sqrt(), &format!("{plane} {residual}"), features);
            autocorrelations(values, variance, &format!("{plane} {residual}"), features);
        }
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let product: f64 = planes[a].rows().zip(planes[b].rows()).map(|(a, b)| dot(a, b)).sum();
            let covariance = product / planes[a].values.len() as f64;
            let scale = (variances[a] * variances[b]).sqrt() + FLOOR * FLOOR;
            features.push_f64(covariance / scale, || {
                format!("correlation of {} and {} {residual}", PLANE_NAMES[a], PLANE_NAMES[b])
            });
        }
    }
    noise_by_brightness(&window.planes[0], &window.medians[0], features);
    for (residual, name) in window.medians.iter().zip(PLANE_NAMES) {
        noise_of_cells(residual, name, features);
    }
}

/// Returns the mean of the squares. The mean of a residual is 0, up to the edges.
fn variance(plane: &Plane) -> f64 {
    plane.rows().map(|row| sum(row, |value| value * value)).sum::<f64>() / plane.values.len() as f64
}

/// Appends the deviation, relative moments, quantiles of magnitudes, and shares of small values.
fn distribution(plane: &Plane, deviation: f64, name: &str, features: &mut Features) {
    let count = plane.values.len() as f64;
    let sums = plane.rows().fold([0.0; 3], |sums, row| {
        let row = moments(row);
        [sums[0] + row[0], sums[1] + row[1], sums[2] + row[2]]
    });
    let [magnitude, cube, fourth] = sums.map(|sum| sum / count);
    let scale = deviation + FLOOR;
    features.push_f64(scale.ln(), || format!("{name}: log deviation"));
    features.push_f64(magnitude / scale, || format!("{name}: mean magnitude"));
    features.push_f64(cube / scale.powi(3), || format!("{name}: skewness"));
    features.push_f64((fourth / scale.powi(4) + 0.1).ln(), || format!("{name}: log kurtosis"));
    let histogram = histogram(plane);
    for quantile in QUANTILES {
        let value = quantile_of(&histogram, quantile as f64 / 100.0 * count);
        features.push_f64(value / scale, || format!("{name}: {quantile}% quantile of magnitudes"));
    }
    for level in SMALL {
        let bins = (level * BINS_PER_LEVEL as f64) as usize;
        let share = histogram[..bins].iter().sum::<u32>();
        features.push_f64(f64::from(share) / count, || format!("{name}: share below {level} levels"));
    }
}

/// Counts magnitudes in bins of an eighth of a level.
fn histogram(plane: &Plane) -> Vec<u32> {
    const BINS: usize = MAX_LEVEL * BINS_PER_LEVEL;
    let index = |value: f32| ((value.abs() * BINS_PER_LEVEL as f32) as usize).min(BINS - 1);
    // Neighbours often fall into the same bin. With several histograms, an increment need not wait for the last one.
    let mut parts = vec![[0_u32; 4]; BINS];
    let (fours, rest) = plane.values.as_chunks::<4>();
    for four in fours {
        for (part, &value) in four.iter().enumerate() {
            parts[index(value)][part] += 1;
        }
    }
    for &value in rest {
        parts[index(value)][0] += 1;
    }
    parts.into_iter().map(|parts| parts.into_iter().sum()).collect()
}

/// Returns the magnitude below which `count` values are, by linear interpolation in the bins.
fn quantile_of(histogram: &[u32], count: f64) -> f64 {
    let mut below = 0.0;
    for (bin, &values) in histogram.iter().enumerate() {
        let values = f64::from(values);
        if values > 0.0 && below + values >= count {
            return (bin as f64 + (count - below) / values) / BINS_PER_LEVEL as f64;
        }
        below += values;
    }
    MAX_LEVEL as f64
}

fn autocorrelations(plane: &Plane, variance: f64, name: &str, features: &mut Features) {
    for [dx, dy] in LAGS {
        let (rows, columns) = (plane.height - dy as usize, plane.width - dx.unsigned_abs());
        let (start, shifted) = if dx < 0 { (dx.unsigned_abs(), 0) } else { (0, dx as usize) };
        let product: f64 = (0..rows)
            .map(|y| dot(&plane.row(y)[start..][..columns], &plane.row(y + dy as usize)[shifted..][..columns]))
            .sum();
        let covariance = product / (rows * columns) as f64;
        features.push_f64(covariance / (variance + FLOOR * FLOOR), || format!("{name}: correlation at ({dx}, {dy})"));
    }
}

/// Appends the noise in ranges of brightness relative to the noise of the whole window: the noise of a sensor depends
/// on brightness. A range with less than 1% of the pixels has the value 0.
fn noise_by_brightness(luma: &Plane, residual: &Plane, features: &mut Features) {
    let mut sums = [0.0_f64; BANDS];
    let mut counts = [0_u32; BANDS];
    for (&brightness, &value) in luma.values.iter().zip(&residual.values) {
        let band = (brightness as usize * BANDS / 256).min(BANDS - 1);
        sums[band] += f64::from(value.abs());
        counts[band] += 1;
    }
    let pixels = luma.values.len() as f64;
    let mean = sums.iter().sum::<f64>() / pixels;
    for (band, (sum, count)) in sums.into_iter().zip(counts).enumerate() {
        let count = f64::from(count);
        let is_rare = count < 0.01 * pixels;
        let relative = if is_rare { 0.0 } else { ((sum / count + FLOOR) / (mean + FLOOR)).ln() };
        features.push_f64(relative, || {
            format!("log relative noise where luma is {} to {}", band * 256 / BANDS, (band + 1) * 256 / BANDS - 1)
        });
    }
}

/// Appends quantiles of the noise of square cells. The smoothest cells show the noise of the sensor.
fn noise_of_cells(residual: &Plane, name: &str, features: &mut Features) {
    let columns = residual.width / CELL;
    let mut cells = vec![0.0_f32; columns * (residual.height / CELL)];
    for (cells, rows) in cells.chunks_exact_mut(columns).zip(residual.values.chunks_exact(CELL * residual.width)) {
        for row in rows.chunks_exact(residual.width) {
            for (cell, values) in cells.iter_mut().zip(row.chunks_exact(CELL)) {
                *cell += values.iter().map(|value| value.abs()).sum::<f32>();
            }
        }
    }
    cells.sort_unstable_by(f32::total_cmp);
    for percent in [10, 25, 50, 75, 90] {
        let mean = f64::from(cells[(cells.len() - 1) * percent / 100]) / (CELL * CELL) as f64;
        features.push_f64((mean + FLOOR).ln(), || format!("{name}: log noise of the {percent}% smoothest cells"));
    }
}
