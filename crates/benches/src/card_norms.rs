//! Runs the batch norms of a network on a CUDA card without the other layers, to compare their speed with other
//! libraries.

use std::rc::Rc;

use half::bf16;
use rand::RngExt;

use kernels::batch_norm::{EPSILON, MOMENTUM};
use kernels::cuda::launch::{self, NormTensors, Shortcut};
use kernels::cuda::shapes::{MatrixShape, NORM_COEFFICIENTS, PARTIAL_SUMS};
use kernels::cuda::{Address, Card, Engine, Result};
use kernels::{ConvShape, Precision};

const F32: usize = size_of::<f32>();
/// The number of random elements, repeated to fill the tensors. Constant tensors would need less power, so the card
/// would be faster.
const NOISE: usize = 1 << 20;

/// All batch norms of a network, each with its own tensors.
pub struct BatchNorms(Layers<Card>);

impl BatchNorms {
    /// Allocates the tensors of ResNet-50 for `images` of `side` x `side` pixels, in the card's precision.
    ///
    /// # Errors
    /// The card has too little memory.
    pub fn new(card: &Rc<Card>, images: usize, side: usize) -> model::Result<Self> {
        let convolutions = model::convolution_shapes("resnet50", [images, side, side]).map_err(model::Error::from)?;
        let shapes = shapes(&convolutions, card.precision());
        Ok(Self(Layers::new(card.clone(), shapes)?))
    }

    /// Starts the forward and backward passes of all batch norms in training mode, with their ReLUs.
    ///
    /// # Errors
    /// The card failed.
    pub fn start(&self) -> Result<()> {
        self.0.start()
    }

    /// Waits for all started passes.
    ///
    /// # Errors
    /// The card failed.
    pub fn wait(&self) -> Result<()> {
        self.0.engine.wait()
    }
}

/// The batch norms on a device.
struct Layers<E: Engine> {
    engine: Rc<E>,
    layers: Vec<Layer>,
    _memory: Vec<E::Memory>,
}

/// The shape and tensors of a batch norm.
struct Layer {
    shape: MatrixShape,
    z: Address,
    y: Address,
    g: Address,
    dz: Address,
    values: NormTensors,
    gradients: [Address; 2],
    coefficients: Address,
    sums: Address,
}

impl<E: Engine> Layers<E> {
    fn new(engine: Rc<E>, shapes: Vec<MatrixShape>) -> Result<Self> {
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
                values: NormTensors {
                    weight: allocate(channels)?,
                    bias: allocate(channels)?,
                    mean: allocate(channels)?,
                    variance: allocate(channels)?,
                },
                gradients: [allocate(channels)?, allocate(channels)?],
                coefficients: allocate(NORM_COEFFICIENTS * channels)?,
                sums: allocate(shape.row_chunks().count * PARTIAL_SUMS * channels)?,
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
        let NormTensors { weight, bias, mean, variance } = self.values;
        for (address, value) in [(weight, 1.0_f32), (bias, 0.0), (mean, 0.0), (variance, 1.0)] {
            engine.upload(bytemuck::cast_slice(&vec![value; self.shape.channels]), address)?;
        }
        Ok(())
    }

    fn forward(&self, engine: &impl Engine) -> Result<()> {
        let Self { shape, z, y, values, coefficients, sums, .. } = self;
        launch::norm_statistics(engine, shape, *z, *sums)?;
        launch::norm_batch_coefficients(engine, shape, *sums, values, *coefficients, [EPSILON, MOMENTUM])?;
        launch::norm_apply(engine, shape, *z, *coefficients, Shortcut::None, *y)
    }

    fn backward(&self, engine: &impl Engine) -> Result<()> {
        let Self { shape, z, g, dz, gradients, coefficients, sums, .. } = self;
        launch::norm_backward_sums(engine, shape, *g, *z, *coefficients, *sums)?;
        launch::norm_backward_coefficients(engine, shape, *sums, 1, *coefficients, *gradients)?;
        launch::norm_backward_apply(engine, shape, *g, *z, *coefficients, true, *dz)
    }
}

/// Returns the shapes of the outputs of convolutions, which are the inputs of the batch norms.
fn shapes(convolutions: &[ConvShape], precision: Precision) -> Vec<MatrixShape> {
    convolutions
        .iter()
        .map(|shape| MatrixShape { rows: shape.output_pixels(), channels: shape.outputs, precision })
        .collect()
}

/// Returns the bytes of random elements between -1 and 1.
fn noise(precision: Precision) -> Vec<u8> {
    let mut stream = artifacts::random::stream(0, "norms", &[]);
    let values: Vec<f32> = (0..NOISE).map(|_| 2.0 * stream.random::<f32>() - 1.0).collect();
    match precision {
        Precision::F32 | Precision::Tf32 => bytemuck::cast_slice(&values).to_vec(),
        Precision::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_ne_bytes()).collect(),
    }
}

#[cfg(test)]
#[cfg(feature = "emulation")]
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
            let d_bias = read(layer.gradients[1], layer.shape.channels);
            assert!(y.iter().chain(&dz).chain(&d_bias).all(|value| value.is_finite()), "{:?}", layer.shape);
            let zeros = y.iter().filter(|&&value| value == 0.0).count();
            assert!(
                zeros > len / 3 && zeros < len * 2 / 3,
                "the ReLU must zero about half of the outputs, but zeroed {zeros} of {len}"
            );
        }
    }
}
