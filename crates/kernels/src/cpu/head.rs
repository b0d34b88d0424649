//! The classifier: a linear layer and the softmax cross-entropy. Both are small enough for plain loops.

use artifacts::statistics;

/// Computes `features x weightᵀ + bias`, `[n, classes]`, from features `[n, inputs]` and weights `[classes, inputs]`.
pub fn linear(features: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let inputs = weight.len() / bias.len();
    let row = |features: &'_ [f32]| -> Vec<f32> {
        weight.chunks_exact(inputs).zip(bias).map(|(weight, bias)| dot(features, weight) + bias).collect()
    };
    features.chunks_exact(inputs).flat_map(row).collect()
}

/// Returns the dot product. Sixteen partial sums, which the compiler vectorises, are added in order.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    for (a, b) in a.iter().zip(b) {
        for j in 0..16 {
            sums[j] += a[j] * b[j];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Computes the gradients of the weight, the bias and the features from the gradient of the logits.
pub fn linear_backward(
    (features, weight): (&[f32], &[f32]),
    logits_gradient: &[f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
    features_gradient: &mut [f32],
) {
    let classes = bias_gradient.len();
    let inputs = weight.len() / classes;
    weight_gradient.fill(0.0);
    bias_gradient.fill(0.0);
    features_gradient.fill(0.0);
    let images = features.chunks_exact(inputs).zip(features_gradient.chunks_exact_mut(inputs));
    for ((features, features_gradient), gradient) in images.zip(logits_gradient.chunks_exact(classes)) {
        for (class, &g) in gradient.iter().enumerate() {
            bias_gradient[class] += g;
            let range = class * inputs..(class + 1) * inputs;
            add_scaled(&mut weight_gradient[range.clone()], g, features);
            add_scaled(features_gradient, g, &weight[range]);
        }
    }
}

fn add_scaled(to: &mut [f32], factor: f32, values: &[f32]) {
    for (to, value) in to.iter_mut().zip(values) {
        *to += factor * value;
    }
}

/// Returns the mean softmax cross-entropy in nats, and its gradient with respect to the logits, `(softmax - one hot) /
/// n`.
pub fn cross_entropy(logits: &[f32], classes: usize, labels: &[u8]) -> (f32, Vec<f32>) {
    let n = labels.len() as f64;
    let mut loss = 0.0;
    let mut gradient = Vec::with_capacity(logits.len());
    for (logits, &label) in logits.chunks_exact(classes).zip(labels) {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Subtract the largest logit, so that no exponential overflows.
        let shifted: Vec<f64> = logits.iter().map(|&logit| f64::from(logit) - f64::from(highest)).collect();
        let total: f64 = shifted.iter().map(|value| value.exp()).sum();
        loss += statistics::cross_entropy(logits, usize::from(label));
        gradient.extend(shifted.iter().enumerate().map(|(class, value)| {
            let target = f64::from(u8::from(class == usize::from(label)));
            ((value.exp() / total - target) / n) as f32
        }));
    }
    ((loss / n) as f32, gradient)
}

/// Returns the mean softmax cross-entropy with target distributions in nats, and its gradient with respect to the logits.
///
/// `targets` is `[n, classes]`. A row is a probability distribution times the weight of the image: its loss is
/// `-sum(target * ln(softmax))`, as of `torch.nn.functional.cross_entropy` with class probabilities. The mean is over the
/// images, whatever their weights.
pub fn soft_cross_entropy(logits: &[f32], classes: usize, targets: &[f32]) -> (f32, Vec<f32>) {
    let n = (targets.len() / classes) as f64;
    let mut loss = 0.0;
    let mut gradient = Vec::with_capacity(logits.len());
    for (logits, targets) in logits.chunks_exact(classes).zip(targets.chunks_exact(classes)) {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Subtract the largest logit, so that no exponential overflows.
        let shifted: Vec<f64> = logits.iter().map(|&logit| f64::from(logit) - f64::from(highest)).collect();
        let total: f64 = shifted.iter().map(|value| value.exp()).sum();
        let weight: f64 = targets.iter().copied().map(f64::from).sum();
        for (value, &target) in shifted.iter().zip(targets) {
            let target = f64::from(target);
            loss += target * (total.ln() - value);
            gradient.push(((weight * value.exp() / total - target) / n) as f32);
        }
    }
    ((loss / n) as f32, gradient)
}

#[cfg(test)]
mod tests {
    use super::super::reference::{assert_close, noise};
    use super::*;

    const IMAGES: usize = 3;

    fn check(inputs: usize, classes: usize) {
        let what = format!("{inputs} inputs, {classes} classes");
        let [features, weight, bias] =
            [(1, IMAGES * inputs), (2, classes * inputs), (3, classes)].map(|(seed, len)| noise(seed, len));
        let mut expected = vec![0.0; IMAGES * classes];
        for (at, sum) in expected.iter_mut().enumerate() {
            let (image, class) = (at / classes, at % classes);
            *sum = f64::from(bias[class]);
            for i in 0..inputs {
                *sum += f64::from(features[image * inputs + i]) * f64::from(weight[class * inputs + i]);
            }
        }
        assert_close(&linear(&features, &weight, &bias), &expected, 1e-6, &what);

        let gradient = noise(4, IMAGES * classes);
        let mut found = [weight.len(), classes, features.len()].map(|len| vec![f32::NAN; len]);
        let mut expected = [weight.len(), classes, features.len()].map(|len| vec![0.0; len]);
        let [d_weight, d_bias, d_features] = &mut found;
        linear_backward((&features, &weight), &gradient, d_weight, d_bias, d_features);
        let [d_weight, d_bias, d_features] = &mut expected;
        for (at, &g) in gradient.iter().enumerate() {
            let (image, class, g) = (at / classes, at % classes, f64::from(g));
            d_bias[class] += g;
            for i in 0..inputs {
                d_weight[class * inputs + i] += g * f64::from(features[image * inputs + i]);
                d_features[image * inputs + i] += g * f64::from(weight[class * inputs + i]);
            }
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert_close(found, expected, 1e-6, &what);
        }
    }

    #[test]
    fn one_hot_targets_give_the_cross_entropy_of_classes() {
        let logits = noise(5, IMAGES * 2);
        let targets = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        let (loss, gradient) = cross_entropy(&logits, 2, &[0, 1, 0]);
        let (soft_loss, soft_gradient) = soft_cross_entropy(&logits, 2, &targets);
        assert!((loss - soft_loss).abs() < 1e-6);
        assert_close(&soft_gradient, &gradient.iter().copied().map(f64::from).collect::<Vec<_>>(), 1e-6, "gradient");
        // The weight of an image multiplies its loss and its gradient.
        let (double, doubled) = soft_cross_entropy(&logits, 2, &targets.map(|target| 2.0 * target));
        assert!((double - 2.0 * loss).abs() < 1e-6 && (doubled[0] - 2.0 * gradient[0]).abs() < 1e-6);
    }

    #[test]
    fn linear_layer_matches_reference() {
        for inputs in [1, 15, 16, 37] {
            for classes in [2, 5] {
                check(inputs, classes);
            }
        }
    }
}
