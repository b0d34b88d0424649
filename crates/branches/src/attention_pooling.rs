//! Attention pooling: the margin of an image from the scores of its windows (additive attention pooling; Javed et al.
//! 2022, arXiv 2206.01794).

use candle_core::{D, Device, Tensor};

use crate::error::Result;

/// Added to the attention logits of places that hold no window.
const NO_WINDOW: f32 = -1e9;

/// What a window contributes to the margin of its image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WindowEvidence {
    /// The share of the window in the margin, from 0 to 1. The windows of an image have the sum 1.
    pub(crate) attention: f32,
    /// The window's own margin.
    pub(crate) margin: f32,
}

/// Pools the scores of windows, `[windows, 2]`, to a margin for each image that has windows.
pub(crate) fn pooled(scores: &Tensor, counts: &[usize]) -> Result<Tensor> {
    let counts: Vec<usize> = counts.iter().copied().filter(|&count| count > 0).collect();
    let longest = counts.iter().copied().max().unwrap_or(0);
    let (mut places, mut mask) = (Vec::new(), Vec::new());
    let mut first = 0;
    for &count in &counts {
        places.extend((0..longest).map(|place| (first + place.min(count - 1)) as u32));
        mask.extend((0..longest).map(|place| if place < count { 0.0 } else { NO_WINDOW }));
        first += count;
    }
    let shape = (counts.len(), longest);
    let places = Tensor::from_vec(places, counts.len() * longest, &Device::Cpu)?;
    let column = |index: usize| scores.narrow(1, index, 1)?.contiguous()?.index_select(&places, 0)?.reshape(shape);
    let logits = (column(0)? + Tensor::from_vec(mask, shape, &Device::Cpu)?)?;
    let exps = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let sums = exps.sum(1)?;
    Ok(((exps * column(1)?)?.sum(1)? / sums)?)
}

/// Returns a margin for each image, from those of the images that have windows.
pub(crate) fn spread(margins: &[f32], counts: &[usize]) -> Vec<Option<f32>> {
    let mut margins = margins.iter().copied();
    counts.iter().map(|&count| if count > 0 { margins.next() } else { None }).collect()
}

/// Returns the evidence of the windows of one image. `scores` holds attention logit and margin of each.
pub(crate) fn softmax(scores: &[[f32; 2]]) -> Vec<WindowEvidence> {
    let largest = scores.iter().map(|[logit, _]| *logit).fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = scores.iter().map(|[logit, _]| (logit - largest).exp()).collect();
    let sum: f32 = exps.iter().sum();
    scores.iter().zip(exps).map(|([_, margin], exp)| WindowEvidence { attention: exp / sum, margin: *margin }).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    /// Pooling equals its definition, and its gradient equals central differences.
    #[test]
    fn pooling_and_its_gradient_equal_definition() {
        let counts = [2, 0, 3];
        let values = [0.3_f32, -1.0, 2.0, 0.5, -0.7, 1.5, 0.1, -2.0, 1.1, 0.4];
        let of = |values: &[f32]| {
            let rows = values.as_chunks::<2>().0;
            let mean = |rows: &[[f32; 2]]| -> f32 { softmax(rows).iter().map(|w| w.attention * w.margin).sum() };
            [mean(&rows[..2]), mean(&rows[2..])]
        };
        let var = Var::from_slice(&values, (5, 2), &Device::Cpu).unwrap();
        let margins = pooled(&var, &counts).unwrap();
        for (found, expected) in margins.to_vec1::<f32>().unwrap().into_iter().zip(of(&values)) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert_eq!(spread(&[1.0, 2.0], &counts), [Some(1.0), None, Some(2.0)]);
        let gradients = margins.sum_all().unwrap().backward().unwrap();
        let found = gradients.get(var.as_tensor()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (index, found) in found.into_iter().enumerate() {
            let moved = |by: f32| {
                let mut moved = values;
                moved[index] += by;
                of(&moved).iter().sum::<f32>()
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((found - expected).abs() < 1e-3, "{index}: {found} {expected}");
        }
    }
}
