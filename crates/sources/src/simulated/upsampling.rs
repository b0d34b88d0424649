//! Up-sampling by a factor of two, as in the decoders of generators. Each method leaves its own periodic traces.

use artifacts::random::{self, Stream};
use rand::RngExt;

use super::noise::Normal;
use super::radiance::{Radiance, add_scaled};

/// An up-sampling method. Each simulated generator is named after its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upsampling {
    /// Repeats each value in a block of 2 x 2.
    Nearest,
    /// Bilinear interpolation with weights 3/4 and 1/4 in each direction.
    Bilinear,
    /// A transposed convolution with stride 2 and a kernel of 3, whose uneven overlap leaves a checkerboard (A. Odena,
    /// V. Dumoulin, C. Olah, "Deconvolution and checkerboard artifacts", 2016).
    TransposedConvolution,
    /// A sub-pixel convolution: four filters, one for each position in a block of 2 x 2 (W. Shi et al., "Real-time
    /// single image and video super-resolution using an efficient sub-pixel convolutional neural network", 2016). The
    /// filters are trained independently, so that they differ slightly (A. Aitken et al., "Checkerboard artifact free
    /// sub-pixel convolution", 2017).
    PixelShuffle,
}

impl Upsampling {
    /// All methods, in the order in which the fakes of a set use them.
    pub const ALL: [Upsampling; 4] =
        [Upsampling::Nearest, Upsampling::Bilinear, Upsampling::TransposedConvolution, Upsampling::PixelShuffle];

    /// The name of the generator in paths and columns.
    pub fn name(self) -> &'static str {
        match self {
            Upsampling::Nearest => "nearest",
            Upsampling::Bilinear => "bilinear",
            Upsampling::TransposedConvolution => "transposed_convolution",
            Upsampling::PixelShuffle => "pixel_shuffle",
        }
    }

    /// Doubles width and height. Learned methods use `weights`.
    pub(super) fn double(self, low: &Radiance, weights: &Weights) -> Radiance {
        match self {
            Upsampling::Nearest => doubled(low, |x, y| low.nearest((x / 2) as isize, (y / 2) as isize)),
            Upsampling::Bilinear => doubled(low, |x, y| {
                let (columns, rows) = (bilinear_taps(x), bilinear_taps(y));
                separable(low, &columns, &rows)
            }),
            Upsampling::TransposedConvolution => doubled(low, |x, y| {
                let (columns, rows) = (transposed_taps(x, weights.side), transposed_taps(y, weights.side));
                separable(low, &columns, &rows)
            }),
            Upsampling::PixelShuffle => doubled(low, |x, y| weights.phases.apply(low, x, y)),
        }
    }
}

/// The weights of the learned methods.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// The outer taps of the kernel (side, 1, side) of a transposed convolution.
    side: f32,
    phases: PhaseFilters,
}

impl Weights {
    /// The weights of a simulated set, which are the same for all its images.
    pub(super) fn of_set(seed: u64) -> Weights {
        let mut stream = random::stream(seed, "simulated pixel shuffle", &[]);
        Weights { side: 0.47, phases: PhaseFilters::draw(0.04, &mut stream) }
    }

    /// Draws weights. Those of a simulated set are in the middle of the range.
    pub(super) fn draw(stream: &mut Stream) -> Weights {
        // Without 1/2, which leaves no checkerboard.
        let distance = stream.random_range(0.015..0.06);
        let side = if stream.random() { 0.5 - distance } else { 0.5 + distance };
        Weights { side, phases: PhaseFilters::draw(stream.random_range(0.02..0.06), stream) }
    }
}

fn doubled(low: &Radiance, pixel: impl FnMut(usize, usize) -> [f32; 3]) -> Radiance {
    Radiance::from_fn(2 * low.width, 2 * low.height, pixel)
}

/// Positions in the low resolution, and their weights.
type Taps = [(isize, f32); 2];

/// Returns the taps with aligned pixel centres: position x of the high resolution is at (x + 1/2) / 2 - 1/2 of the low
/// one.
fn bilinear_taps(x: usize) -> Taps {
    let low = (x / 2) as isize;
    let other = if x.is_multiple_of(2) { low - 1 } else { low + 1 };
    [(low, 0.75), (other, 0.25)]
}

/// Returns the taps of a transposed convolution. With stride 2, one of its three taps contributes to an even position
/// and two to an odd one. The kernel (side, 1, side) is smooth only with side = 1/2; other values cause a checkerboard.
/// The weights are scaled so that their mean over both positions is 1.
fn transposed_taps(x: usize, side: f32) -> Taps {
    let scale = 2.0 / (1.0 + 2.0 * side);
    let low = (x / 2) as isize;
    if x.is_multiple_of(2) { [(low, scale), (low, 0.0)] } else { [(low, scale * side), (low + 1, scale * side)] }
}

fn separable(low: &Radiance, columns: &Taps, rows: &Taps) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for &(y, down) in rows {
        for &(x, across) in columns {
            add_scaled(&mut sum, low.nearest(x, y), across * down);
        }
    }
    sum
}

/// The filters of a sub-pixel convolution: 3 x 3 weights for each position in a block of 2 x 2.
#[derive(Clone, Debug)]
struct PhaseFilters {
    weights: [[f32; 9]; 4],
}

impl PhaseFilters {
    /// Draws bilinear weights plus a random error of standard deviation `error`, which imitates imperfect training. The
    /// sum over all positions is normalised, which preserves the mean of an image.
    fn draw(error: f32, stream: &mut Stream) -> Self {
        let mut normal = Normal::new(stream);
        let mut weights = [0, 1, 2, 3].map(|phase| {
            let (columns, rows) = (bilinear_taps(phase % 2), bilinear_taps(phase / 2));
            let mut filter = [(); 9].map(|()| error * normal.draw());
            for (y, down) in rows {
                for (x, across) in columns {
                    filter[(3 * (y + 1) + x + 1) as usize] += across * down;
                }
            }
            filter
        });
        let sum: f32 = weights.iter().flatten().sum();
        weights.iter_mut().flatten().for_each(|weight| *weight *= 4.0 / sum);
        Self { weights }
    }

    fn apply(&self, low: &Radiance, x: usize, y: usize) -> [f32; 3] {
        let filter = &self.weights[2 * (y % 2) + x % 2];
        let mut sum = [0.0; 3];
        for (i, &weight) in (0_isize..).zip(filter) {
            let column = (x / 2) as isize + i % 3 - 1;
            let row = (y / 2) as isize + i / 3 - 1;
            add_scaled(&mut sum, low.nearest(column, row), weight);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(picture: &Radiance) -> f32 {
        picture.samples.iter().flatten().sum::<f32>() / (3 * picture.samples.len()) as f32
    }

    #[test]
    fn doubles_the_size_and_keeps_the_mean() {
        let flat = Radiance::from_fn(5, 4, |_, _| [0.3; 3]);
        for upsampling in Upsampling::ALL {
            let high = upsampling.double(&flat, &Weights::of_set(7));
            assert_eq!((high.width, high.height), (10, 8));
            assert!((mean(&high) - 0.3).abs() < 1e-5, "{upsampling:?}");
        }
    }

    #[test]
    fn bilinear_is_exact_on_a_ramp() {
        let ramp = Radiance::from_fn(6, 6, |x, _| [x as f32; 3]);
        let high = Upsampling::Bilinear.double(&ramp, &Weights::of_set(0));
        for x in 1..11 {
            assert!((high.samples[x][0] - (x as f32 / 2.0 - 0.25)).abs() < 1e-6);
        }
    }

    #[test]
    fn transposed_convolution_leaves_a_checkerboard() {
        let flat = Radiance::from_fn(4, 4, |_, _| [0.5; 3]);
        let high = Upsampling::TransposedConvolution.double(&flat, &Weights::of_set(0));
        assert!(high.samples[0][0] > high.samples[1][0] + 0.01);
        assert_eq!(high.samples[0], high.samples[2]);
    }

    #[test]
    fn names_are_unique() {
        let mut names = Upsampling::ALL.map(Upsampling::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
