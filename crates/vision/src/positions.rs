//! Interpolation of position embeddings to another number of patches, as PyTorch's bicubic `interpolate`.

/// Interpolates `embeddings`, `[from, from, width]`, to `[to, to, width]`. With `antialias` (DINOv2 with registers) the
/// kernel has a = -0.5 and widens when the grid shrinks; without, a = -0.75.
pub(crate) fn interpolate(embeddings: &[f32], from: usize, to: usize, width: usize, antialias: bool) -> Vec<f32> {
    if from == to {
        return embeddings.to_vec();
    }
    let weights: Vec<Vec<(usize, f64)>> = (0..to).map(|at| taps(at, from, to, antialias)).collect();
    let mut result = Vec::with_capacity(to * to * width);
    let mut sums = vec![0.0_f64; width];
    for rows in &weights {
        for columns in &weights {
            sums.fill(0.0);
            for &(y, of_row) in rows {
                for &(x, of_column) in columns {
                    let from = &embeddings[(y * from + x) * width..][..width];
                    sums.iter_mut().zip(from).for_each(|(sum, &value)| *sum += of_row * of_column * f64::from(value));
                }
            }
            result.extend(sums.iter().map(|&sum| sum as f32));
        }
    }
    result
}

/// Returns the positions in the source, and their weights, that give position `at` of the result.
fn taps(at: usize, from: usize, to: usize, antialias: bool) -> Vec<(usize, f64)> {
    let scale = from as f64 / to as f64;
    let centre = (at as f64 + 0.5) * scale;
    if antialias {
        let filter_scale = scale.max(1.0);
        let support = 2.0 * filter_scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weight = |i: usize| cubic((i as f64 - centre + 0.5) / filter_scale, -0.5);
        let total: f64 = (first..end).map(weight).sum();
        return (first..end).map(|i| (i, weight(i) / total)).collect();
    }
    let position = centre - 0.5;
    let first = position.floor();
    (-1..3)
        .map(|offset| {
            let index = (first as i64 + offset).clamp(0, from as i64 - 1) as usize;
            (index, cubic(position - first - offset as f64, -0.75))
        })
        .collect()
}

/// The cubic convolution kernel (Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981).
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_constants_and_equal_grids() {
        let ramp: Vec<f32> = (0..5 * 5 * 2).map(|i| i as f32).collect();
        assert_eq!(interpolate(&ramp, 5, 5, 2, true), ramp);
        for antialias in [false, true] {
            for to in [2, 3, 7, 16] {
                let same = interpolate(&vec![1.5; 5 * 5 * 3], 5, to, 3, antialias);
                assert!(same.iter().all(|value| (value - 1.5).abs() < 1e-6), "{to}");
                assert_eq!(same.len(), to * to * 3);
            }
        }
    }
}
