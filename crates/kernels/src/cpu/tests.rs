//! Compares convolutions and their gradients with the reference, for each operand, epilogue and instruction set.

use super::algorithm::ConvAlgorithm;
use super::batch_norm::{Affine, Moments, Norm, Sums};
use super::convolution::{Convolution, Input};
use super::element_type::ElementType;
use super::epilogue::{Epilogue, Folded, MaskByNorm, MaskByOutput, Statistics, Write};
use super::operand::Operand;
use super::reference::{Case, assert_close, noise, tensor};
use super::simd::Isa;
use super::values::Values;

const TOLERANCE: f64 = 1e-5;

/// Returns the tolerance relative to the largest value. Winograd's transforms lose some bits.
fn tolerance(convolution: &Convolution) -> f64 {
    match convolution.forward {
        ConvAlgorithm::Direct(_) => TOLERANCE,
        ConvAlgorithm::Winograd(_) => 5.0 * TOLERANCE,
    }
}

/// Returns convolutions with odd sizes, strides and paddings, with single images, and with several blocks of depth,
/// columns and pixels.
fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case([1, 7, 8], [3, 5], [3, 1, 1]),
        case([2, 8, 7], [5, 33], [3, 2, 1]),
        case([3, 5, 9], [17, 4], [1, 2, 0]),
        case([2, 6, 6], [64, 64], [1, 1, 0]),
        case([1, 1, 1], [7, 3], [1, 1, 0]),
        case([1, 3, 300], [4, 6], [3, 1, 1]),
        case([2, 9, 11], [30, 40], [3, 2, 1]),
        case([1, 4, 5], [300, 530], [1, 1, 0]),
        case([1, 9, 10], [2, 3], [5, 3, 2]),
        case([2, 15, 16], [70, 24], [3, 1, 1]),
        case([1, 7, 7], [40, 33], [3, 1, 1]),
        case([3, 9, 11], [300, 17], [3, 1, 1]),
        case([1, 4, 230], [16, 16], [3, 1, 1]),
        // In these weight gradients, units pack their pixels in several blocks, or outputs need more than one unit.
        // Matrix units pack more pixels at once than others.
        case([1, 40, 50], [4, 6], [1, 1, 0]),
        case([1, 92, 92], [4, 6], [1, 1, 0]),
        case([2, 56, 57], [16, 16], [3, 1, 1]),
        case([1, 8, 8], [16, 70], [3, 1, 1]),
    ]
}

/// What a test computes with.
#[derive(Clone, Copy)]
struct Numbers {
    /// The instruction set.
    isa: Isa,
    /// The type of the elements of tensors.
    stored: ElementType,
}

impl Numbers {
    /// All instruction sets, with tensors of each type that they are used with.
    fn all() -> Vec<Self> {
        let f32_sets = Isa::available().into_iter().map(|isa| Self { isa, stored: ElementType::F32 });
        let types = [ElementType::F32, ElementType::Bf16];
        let bf16_sets = Isa::with_bf16().into_iter().flat_map(|isa| types.map(|stored| Self { isa, stored }));
        f32_sets.chain(bf16_sets).collect()
    }

    /// Rounds values to the element type that the instruction set multiplies.
    fn round(self, mut values: Vec<f32>) -> Vec<f32> {
        if self.isa != self.isa.in_f32() {
            values.iter_mut().for_each(|value| *value = half::bf16::from_f32(*value).to_f32());
        }
        values
    }

    /// Rounds values that are computed while packing to the element type that is multiplied. Winograd does not round
    /// them.
    fn round_packed(self, convolution: &Convolution, values: Vec<f32>) -> Vec<f32> {
        match convolution.forward {
            ConvAlgorithm::Direct(_) => self.round(values),
            ConvAlgorithm::Winograd(_) => values,
        }
    }

    /// The tolerance for a stored output that is exact up to `tolerance` before it is rounded.
    fn tolerance_of_stored(self, tolerance: f64) -> f64 {
        match self.stored {
            ElementType::F32 => tolerance,
            ElementType::Bf16 => tolerance + f64::from(half::bf16::EPSILON) / 2.0,
        }
    }

    /// The tolerance of an output if the operand is computed while it is packed. It may differ from the operand of the
    /// test in the last bit before it is rounded to bf16.
    fn tolerance_of_packed(self, convolution: &Convolution) -> f64 {
        let last_bit = if self.isa == self.isa.in_f32() { 0.0 } else { f64::from(half::bf16::EPSILON) };
        tolerance(convolution).max(last_bit)
    }
}

/// Calls `f` for each case, instruction set and type of tensors. For bf16 instruction sets, inputs and weights are
/// rounded to bf16 first, so that only sums differ from the reference.
fn for_each(mut f: impl FnMut(&Case, &Convolution, Numbers, &str)) {
    for numbers in Numbers::all() {
        let Numbers { isa, stored } = numbers;
        for mut case in cases() {
            case.input = numbers.round(case.input);
            case.weights = numbers.round(case.weights);
            let convolution = Convolution::new(&case.shape, Input::Activations, isa);
            let what = format!("{isa:?}, {stored:?}, {:?}", case.shape);
            f(&case, &convolution, numbers, &what);
        }
    }
}

/// Runs a product on an output that is filled with NaN, or with `old` if it is given. Returns the output and the sums.
fn run<E: Epilogue>(
    (product, packed): (&ConvAlgorithm, &[f32]),
    operand: &Operand<'_>,
    epilogue: &E,
    channels: usize,
    stored: ElementType,
    old: Option<&[f32]>,
) -> (Vec<f32>, Vec<f32>) {
    // Aligned like a workspace, so that non-temporal stores are tested.
    let mut to = tensor(old.unwrap_or(&vec![f32::NAN; product.output_len()]), stored);
    let mut sums = vec![f32::NAN; product.unit_count() * E::SUMS * channels];
    product.run(operand, packed, epilogue, to.values_mut(), &mut sums);
    (to.values().to_f32(), sums)
}

/// Packs the weights for the output and for the input gradient.
fn packed(convolution: &Convolution, case: &Case) -> (Vec<f32>, Vec<f32>) {
    let mut forward = vec![f32::NAN; convolution.packed_len()];
    let mut input = forward.clone();
    convolution.pack_forward(&case.weights, &mut forward);
    convolution.pack_input(&case.weights, &mut input);
    (forward, input)
}

fn floats(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// The other tests use the instruction sets that the processor has. This one reports the sets that they leave out.
#[test]
fn all_instruction_sets_are_tested() {
    let available = Isa::available();
    if available.len() < 2 {
        return testing::skip(testing::Need::Avx2, format_args!("this processor has only {available:?}"));
    }
    let bf16 = Isa::available_bf16();
    match bf16.len() {
        0 => return testing::skip(testing::Need::Avx512Bf16, format_args!("this processor has only {available:?}")),
        1 => return testing::skip(testing::Need::Amx, format_args!("this processor has only {available:?}, {bf16:?}")),
        _ => {}
    }
    assert_eq!((available.len(), bf16.len()), (3, 2));
}

#[test]
fn forward_and_statistics_match_reference() {
    for_each(|case, convolution, numbers, what| {
        let (forward, _) = packed(convolution, case);
        let channels = case.shape.outputs;
        let (product, input) = (&convolution.forward, tensor(&case.input, numbers.stored));
        let operand = Operand::Plain(input.values());
        let (to, sums) = run((product, &forward), &operand, &Statistics, channels, numbers.stored, None);
        let expected = case.forward(&case.input);
        assert_close(&to, &expected, numbers.tolerance_of_stored(tolerance(convolution)), what);
        let pixels = expected.len() / channels;
        if pixels == 1 {
            return;
        }
        let (weight, bias) = (noise(3, channels), noise(4, channels));
        let (mut mean, mut variance) = (vec![0.5; channels], vec![2.0; channels]);
        let mut norm = Norm::new(channels);
        let counts = product.unit_pixels();
        assert_eq!(counts.iter().sum::<usize>(), pixels);
        let moments = Moments::new(&sums, &counts, channels);
        norm.set_from_batch(Affine { weight: &weight, bias: &bias }, &moments, &mut mean, &mut variance);
        for c in 0..channels {
            let values = || expected.iter().skip(c).step_by(channels);
            let m = values().sum::<f64>() / pixels as f64;
            let v = values().map(|x| (x - m).powi(2)).sum::<f64>() / pixels as f64;
            let unbiased = v * pixels as f64 / (pixels as f64 - 1.0);
            let scale = f64::from(weight[c]) / (v + 1e-5).sqrt();
            let found = [norm.mean[c], norm.scale[c], norm.shift[c], mean[c], variance[c]];
            let wanted = [m, scale, f64::from(bias[c]) - m * scale, 0.45 + 0.1 * m, 1.8 + 0.1 * unbiased];
            assert_close(&found, &wanted, 1e-4, what);
        }
    });
}

#[test]
fn forward_with_fused_batch_norm_bias_and_residual_matches_reference() {
    for_each(|case, convolution, numbers, what| {
        let (forward, _) = packed(convolution, case);
        let (inputs, outputs) = (case.shape.inputs, case.shape.outputs);
        let (scale, shift) = (noise(5, inputs), noise(6, inputs));
        let activated = |(i, z): (usize, &f32)| (scale[i % inputs] * z + shift[i % inputs]).max(0.0);
        let input = numbers.round_packed(convolution, case.input.iter().enumerate().map(activated).collect());
        let z = tensor(&case.input, numbers.stored);
        let operand = Operand::Activated { z: z.values(), scale: &scale, shift: &shift };
        let (bias, residual) = (noise(7, outputs), numbers.round(noise(8, case.output_len())));
        let stored = tensor(&residual, numbers.stored);
        for (residual, relu) in [(None, false), (Some(&residual[..]), true)] {
            let epilogue = Folded { bias: &bias, residual: residual.map(|_| stored.values()), relu };
            let (to, _) = run((&convolution.forward, &forward), &operand, &epilogue, outputs, numbers.stored, None);
            let finish = |(i, value): (usize, f64)| {
                let sum =
                    value + f64::from(bias[i % outputs]) + residual.map_or(0.0, |residual| f64::from(residual[i]));
                if relu { sum.max(0.0) } else { sum }
            };
            let expected: Vec<f64> = case.forward(&input).into_iter().enumerate().map(finish).collect();
            assert_close(&to, &expected, numbers.tolerance_of_stored(numbers.tolerance_of_packed(convolution)), what);
        }
    });
}

#[test]
fn input_gradients_match_reference() {
    for_each(|case, convolution, numbers, what| {
        let (_, packed) = packed(convolution, case);
        let Some(product) = &convolution.input else { panic!("activations have gradients") };
        let (inputs, outputs) = (case.shape.inputs, case.shape.outputs);
        let [g, z] = [9, 10].map(|seed| numbers.round(noise(seed, case.output_len())));
        let [of_gradient, of_output, constant] = [11, 12, 13].map(|seed| noise(seed, outputs));
        let gradient_at = |i: usize| {
            let c = i % outputs;
            of_gradient[c] * g[i] + (of_output[c] * z[i] + constant[c])
        };
        let gradient = numbers.round_packed(convolution, (0..g.len()).map(gradient_at).collect());
        let expected = case.input_gradient(&gradient);
        let (of_gradient, of_output, constant) = (&of_gradient[..], &of_output[..], &constant[..]);
        let [g, z] = [&g, &z].map(|values| tensor(values, numbers.stored));
        let (g, z) = (g.values(), z.values());
        let operand = Operand::NormGradient { g, z, of_gradient, of_output, constant };
        let write = Write { accumulate: false };
        let (to, _) = run((product, &packed), &operand, &write, inputs, numbers.stored, None);
        assert_close(&to, &expected, numbers.tolerance_of_stored(numbers.tolerance_of_packed(convolution)), what);

        let old = numbers.round(noise(14, case.input.len()));
        let (to, _) =
            run((product, &packed), &operand, &Write { accumulate: true }, inputs, numbers.stored, Some(&old));
        let sum: Vec<f64> = expected.iter().zip(&old).map(|(a, &b)| a + f64::from(b)).collect();
        assert_close(&to, &sum, numbers.tolerance_of_stored(numbers.tolerance_of_packed(convolution)), what);
    });
}

/// Returns the sums of `g` and of `g * (z - mean)` over all pixels.
fn sums_of(g: &[f64], z: &[f32], mean: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let channels = mean.len();
    let (mut sum, mut product) = (vec![0.0; channels], vec![0.0; channels]);
    for (i, g) in g.iter().enumerate() {
        sum[i % channels] += g;
        product[i % channels] += g * f64::from(z[i] - mean[i % channels]);
    }
    (sum, product)
}

fn check_sums(sums: &[f32], kinds: usize, expected: &[Vec<f64>], tolerance: f64, what: &str) {
    let channels = expected[0].len();
    for (kind, expected) in expected.iter().enumerate() {
        let sums = Sums { values: sums, kinds, channels, kind };
        let totals: Vec<f32> = (0..channels).map(|c| sums.total(c) as f32).collect();
        assert_close(&totals, expected, tolerance, what);
    }
}

#[test]
fn masked_input_gradients_and_sums_match_reference() {
    for_each(|case, convolution, numbers, what| {
        let (_, packed) = packed(convolution, case);
        let Some(product) = &convolution.input else { panic!("activations have gradients") };
        let channels = case.shape.inputs;
        let gradient = numbers.round(noise(15, case.output_len()));
        let stored_gradient = tensor(&gradient, numbers.stored);
        let plain = Operand::Plain(stored_gradient.values());
        let expected = case.input_gradient(&gradient);
        let [z, other] = [16, 17].map(|seed| numbers.round(noise(seed, expected.len())));
        let [stored_z, stored_other] = [&z, &other].map(|values| tensor(values, numbers.stored));
        let [mean, other_mean, scale, shift] = [18, 19, 20, 21].map(|seed| noise(seed, channels));

        let mask = MaskByNorm { z: stored_z.values(), mean: &mean, scale: &scale, shift: &shift };
        let (to, sums) = run((product, &packed), &plain, &mask, channels, numbers.stored, None);
        let is_active = |i: usize| scale[i % channels] * z[i] + shift[i % channels] > 0.0;
        let masked = |values: &[f64]| -> Vec<f64> {
            values.iter().enumerate().map(|(i, &value)| if is_active(i) { value } else { 0.0 }).collect()
        };
        let g = masked(&expected);
        assert_close(&to, &g, numbers.tolerance_of_stored(tolerance(convolution)), what);
        let (sum, z_sum) = sums_of(&g, &z, &mean);
        check_sums(&sums, 2, &[sum, z_sum], 1e-4, what);

        let old = numbers.round(noise(22, expected.len()));
        let y: Vec<f32> = (0..expected.len()).map(|i| if is_active(i) { 0.5 } else { 0.0 }).collect();
        let y = tensor(&y, numbers.stored);
        let mask = MaskByOutput {
            y: y.values(),
            main: (stored_z.values(), &mean),
            shortcut: Some((stored_other.values(), &other_mean)),
        };
        let (to, sums) = run((product, &packed), &plain, &mask, channels, numbers.stored, Some(&old));
        let total: Vec<f64> = expected.iter().zip(&old).map(|(a, &b)| a + f64::from(b)).collect();
        let g = masked(&total);
        assert_close(&to, &g, numbers.tolerance_of_stored(tolerance(convolution)), what);
        let ((sum, z_sum), (_, other_sum)) = (sums_of(&g, &z, &mean), sums_of(&g, &other, &other_mean));
        // The last sum is that of the stored gradient, after its rounding.
        check_sums(&sums, 3, &[sum, z_sum, other_sum], numbers.tolerance_of_stored(1e-4), what);
    });
}

#[test]
fn weight_gradients_match_reference() {
    for_each(|case, convolution, numbers, what| {
        let inputs = case.shape.inputs;
        let (scale, shift) = (noise(23, inputs), noise(24, inputs));
        let activated = |(i, z): (usize, &f32)| (scale[i % inputs] * z + shift[i % inputs]).max(0.0);
        let input = numbers.round_packed(convolution, case.input.iter().enumerate().map(activated).collect());
        let gradient = numbers.round(noise(25, case.output_len()));
        let expected = case.weight_gradient(&input, &gradient);
        let mut partial = vec![f32::NAN; convolution.weights.partial_len()];
        let mut to = vec![f32::NAN; expected.len()];
        let [z, gradient] = [&case.input, &gradient].map(|values| tensor(values, numbers.stored));
        let operand = Operand::Activated { z: z.values(), scale: &scale, shift: &shift };
        convolution.weights.run(&operand, &Operand::Plain(gradient.values()), &mut partial, &mut to);
        assert_close(&to, &expected, numbers.tolerance_of_packed(convolution), what);
    });
}

#[test]
fn stem_on_padded_pixels_matches_reference() {
    for numbers in Numbers::all() {
        let Numbers { isa, stored } = numbers;
        let mut case = Case::new([2, 13, 10], [3, 20], [7, 2, 3]);
        case.input = numbers.round(case.input);
        case.weights = numbers.round(case.weights);
        let convolution = Convolution::new(&case.shape, Input::PaddedPixels, isa);
        let (height, width) = case.shape.input();
        let mut padded = vec![0.0; case.shape.images * (height + 6) * (width + 6) * 3];
        for (row, from) in case.input.chunks_exact(width * 3).enumerate() {
            let (image, y) = (row / height, row % height);
            let at = ((image * (height + 6) + y + 3) * (width + 6) + 3) * 3;
            padded[at..at + width * 3].copy_from_slice(from);
        }
        let (forward, _) = packed(&convolution, &case);
        // Pixels are f32 in memory, whatever the type of activations.
        let operand = Operand::Plain(Values::F32(&padded));
        let write = Write { accumulate: false };
        let (to, _) = run((&convolution.forward, &forward), &operand, &write, 20, stored, None);
        let expected = case.forward(&case.input);
        assert_close(&to, &expected, numbers.tolerance_of_stored(TOLERANCE), "the stem");
        let gradient = numbers.round(floats(&expected));
        let stored_gradient = tensor(&gradient, stored);
        let mut partial = vec![f32::NAN; convolution.weights.partial_len()];
        let mut to = vec![f32::NAN; case.weights.len()];
        convolution.weights.run(&operand, &Operand::Plain(stored_gradient.values()), &mut partial, &mut to);
        assert_close(&to, &case.weight_gradient(&case.input, &gradient), TOLERANCE, "the stem's weights");
        assert!(convolution.input.is_none());
    }
}

#[test]
fn written_operands_match_their_formulas() {
    let types = [ElementType::F32, ElementType::Bf16];
    for isa in Isa::available().into_iter().chain(Isa::with_bf16()) {
        for channels in [1, 5, 17, 48, 64] {
            let len = 130 * channels;
            let (g, z) = (noise(30, len), noise(31, len));
            let [a, b, c] = [32, 33, 34].map(|seed| noise(seed, channels));
            for [of_g, of_z, written] in types.iter().flat_map(|&g| types.map(|z| types.map(|to| [g, z, to]))).flatten()
            {
                let what = format!("{isa:?}, {channels} channels, {of_g:?}, {of_z:?}, {written:?}");
                let (g, z) = (tensor(&g, of_g), tensor(&z, of_z));
                let operands = [
                    Operand::Plain(z.values()),
                    Operand::Activated { z: z.values(), scale: &a, shift: &b },
                    Operand::NormGradient {
                        g: g.values(),
                        z: z.values(),
                        of_gradient: &a,
                        of_output: &b,
                        constant: &c,
                    },
                ];
                let (g, z) = (g.values().to_f32(), z.values().to_f32());
                let formulas: [&dyn Fn(usize) -> f32; 3] =
                    [&|i| z[i], &|i| (a[i % channels] * z[i] + b[i % channels]).max(0.0), &|i| {
                        a[i % channels] * g[i] + b[i % channels] * z[i] + c[i % channels]
                    }];
                for (operand, formula) in operands.iter().zip(formulas) {
                    let mut to = tensor(&vec![f32::NAN; len], written);
                    operand.write(isa, channels, to.values_mut());
                    let expected: Vec<f64> = (0..len).map(|i| f64::from(formula(i))).collect();
                    let tolerance = Numbers { isa, stored: written }.tolerance_of_stored(1e-6);
                    assert_close(&to.values().to_f32(), &expected, tolerance, &what);
                }
            }
        }
    }
}
