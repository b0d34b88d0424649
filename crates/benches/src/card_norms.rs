//! The batch norms of a network by themselves, to be held against those of others on a card.

use std::rc::Rc;

use half::bf16;
use rand::RngExt;

use kernels::batch_norm::{EPSILON, MOMENTUM};
use kernels::cuda::launch::{self, NormValues, Shortcut};
use kernels::cuda::shapes::{COEFFICIENTS, Matrix, SUMS};
use kernels::cuda::{Address, Card, Engine, Result};
use kernels::{ConvShape, Precision};

const F32: usize = size_of::<f32>();
/// Elements of noise that fill the tensors again and again: constant ones would take less power, and so be faster.
const NOISE: usize = 1 << 20;

/// All batch norms of a network, each on tensors of its own.
pub struct Norms(Layers<Card>);

impl Norms {
    /// Those of ResNet-50 for `images` of `side` x `side` pixels, in the card's precision.
    ///
    /// # Errors
    /// The card has not the memory.
    pub fn new(card: &Rc<Card>, images: usize, side: usize) -> model::Result<Self> {
        let shapes = shapes(&model::convolution_shapes("resnet50", [images, side, side])?, card.precision());
        Ok(Self(Layers::new(card.clone(), shapes)?))
    }

    /// Asks for each of them in training, with its ReLU: forward, and backward to the gradients of input and parameters.
    ///
    /// # Errors
    /// Those of the card.
    pub fn start(&self) -> Result<()> {
        self.0.start()
    }

    /// Waits for all that was asked for.
    ///
    /// # Errors
    /// Those of the card.
    pub fn wait(&self) -> Result<()> {
        self.0.engine.wait()
    }
}

/// The layers on a device.
struct Layers<E: Engine> {
    engine: Rc<E>,
    layers: Vec<Layer>,
    _memory: Vec<E::Memory>,
}

/// A layer's tensors.
struct Layer {
    shape: Matrix,
    z: Address,
    y: Address,
    g: Address,
    dz: Address,
    values: NormValues,
    gradients: [Address; 2],
    coefficients: Address,
    sums: Address,
}

impl<E: Engine> Layers<E> {
    fn new(engine: Rc<E>, shapes: Vec<Matrix>) -> Result<Self> {
        let (mut layers, mut memory) = (Vec::new(), Vec::new());
        let noise = shapes.first().map(|shape| noise(shape.precision)).unwrap_or_default();
        for shape in shapes {
            let mut allocate = |bytes: usize| -> Result<Address> {
                let allocated = engine.allocate(bytes)?;
                let address = engine.address(&allocated);
                memory.push(allocated);
                Ok(address)
            };
            let channels = shape.channels * F32;
            let layer = Layer {
                shape,
                z: allocate(shape.bytes())?,
                y: allocate(shape.bytes())?,
                g: allocate(shape.bytes())?,
                dz: allocate(shape.bytes())?,
                values: NormValues {
                    weight: allocate(channels)?,
                    bias: allocate(channels)?,
                    mean: allocate(channels)?,
                    variance: allocate(channels)?,
                },
                gradients: [allocate(channels)?, allocate(channels)?],
                coefficients: allocate(COEFFICIENTS * channels)?,
                sums: allocate(shape.units().count * SUMS * channels)?,
            };
            layer.fill(&*engine, &noise)?;
            layers.push(layer);
        }
        Ok(Self { engine, layers, _memory: memory })
    }

    fn start(&self) -> Result<()> {
        self.layers.iter().try_for_each(|layer| layer.forward(&*self.engine))?;
        self.layers.iter().rev().try_for_each(|layer| layer.backward(&*self.engine))
    }
}

impl Layer {
    fn fill(&self, engine: &impl Engine, noise: &[u8]) -> Result<()> {
        for tensor in [self.z, self.g] {
            for at in (0..self.shape.bytes()).step_by(noise.len()) {
                let len = noise.len().min(self.shape.bytes() - at);
                engine.upload(&noise[..len], tensor + at as Address)?;
            }
        }
        let NormValues { weight, bias, mean, variance } = self.values;
        for (address, value) in [(weight, 1.0_f32), (bias, 0.0), (mean, 0.0), (variance, 1.0)] {
            engine.upload(bytemuck::cast_slice(&vec![value; self.shape.channels]), address)?;
        }
        Ok(())
    }

    fn forward(&self, engine: &impl Engine) -> Result<()> {
        let Self { shape, z, y, values, coefficients, sums, .. } = self;
        launch::norm_statistics(engine, shape, *z, *sums)?;
        launch::norm_of_batch(engine, shape, *sums, values, *coefficients, [EPSILON, MOMENTUM])?;
        launch::norm_apply(engine, shape, *z, *coefficients, Shortcut::None, *y)
    }

    fn backward(&self, engine: &impl Engine) -> Result<()> {
        let Self { shape, z, g, dz, gradients, coefficients, sums, .. } = self;
        launch::norm_backward_sums(engine, shape, *g, *z, *coefficients, *sums)?;
        launch::norm_differentiate(engine, shape, *sums, 1, *coefficients, *gradients)?;
        launch::norm_backward_apply(engine, shape, *g, *z, *coefficients, true, *dz)
    }
}

/// The outputs of the convolutions.
fn shapes(convolutions: &[ConvShape], precision: Precision) -> Vec<Matrix> {
    convolutions
        .iter()
        .map(|shape| Matrix { rows: shape.output_pixels(), channels: shape.outputs, precision })
        .collect()
}

/// Stored elements between -1 and 1.
fn noise(precision: Precision) -> Vec<u8> {
    let mut stream = artifacts::random::stream(0, "norms", &[]);
    let values: Vec<f32> = (0..NOISE).map(|_| 2.0 * stream.random::<f32>() - 1.0).collect();
    match precision {
        Precision::F32 | Precision::Tf32 => bytemuck::cast_slice(&values).to_vec(),
        Precision::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_ne_bytes()).collect(),
    }
}

#[cfg(all(test, feature = "emulation"))]
mod tests {
    use kernels::cuda::download;
    use kernels::cuda::test_support::Emulator;

    use super::*;

    #[test]
    fn computes_every_output_of_every_layer() {
        let shape = |side: usize, outputs, stride| ConvShape {
            images: 2,
            height: side,
            width: side,
            inputs: 8,
            outputs,
            kernel: 3,
            stride,
            padding: 1,
        };
        let shapes = shapes(&[shape(40, 8, 2), shape(10, 32, 1), shape(10, 16, 2)], Precision::F32);
        assert_eq!(shapes.iter().map(|shape| shape.rows / 2).collect::<Vec<_>>(), [20 * 20, 100, 25]);

        let Some(emulator) = Emulator::new() else { return };
        emulator.poison.set(true);
        let layers = Layers::new(Rc::new(emulator), shapes).unwrap();
        layers.start().unwrap();
        for layer in &layers.layers {
            let len = layer.shape.rows * layer.shape.channels;
            let read = |at, len| -> Vec<f32> { download(&*layers.engine, at, len).unwrap() };
            let (y, dz) = (read(layer.y, len), read(layer.dz, len));
            let of_bias = read(layer.gradients[1], layer.shape.channels);
            assert!(y.iter().chain(&dz).chain(&of_bias).all(|value| value.is_finite()), "{:?}", layer.shape);
            let zeros = y.iter().filter(|&&value| value == 0.0).count();
            assert!(zeros > len / 3 && zeros < len * 2 / 3, "the ReLU takes about half: {zeros} of {len}");
        }
    }
}
