//! Tensors and bytes in the memory of a device under test.

use half::bf16;

use crate::cuda::engine::{Address, Engine, download};
use crate::precision::Precision;

/// A tensor in device memory.
pub struct Tensor<'a, E: Engine> {
    engine: &'a E,
    memory: E::Memory,
    len: usize,
    precision: Precision,
}

impl<'a, E: Engine> Tensor<'a, E> {
    /// Allocates and uploads values, rounded to the element type.
    pub fn new(engine: &'a E, precision: Precision, values: &[f32]) -> Self {
        let memory = engine.allocate(values.len() * precision.bytes()).unwrap();
        let bytes: Vec<u8> = match precision {
            Precision::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
            _ => bytemuck::cast_slice(values).to_vec(),
        };
        engine.upload(&bytes, engine.address(&memory)).unwrap();
        Self { engine, memory, len: values.len(), precision }
    }

    /// Allocates `len` NaN, so that comparisons detect elements that a kernel does not write.
    pub fn poisoned(engine: &'a E, precision: Precision, len: usize) -> Self {
        Self::new(engine, precision, &vec![f32::NAN; len])
    }

    /// Allocates and uploads f32 values.
    pub fn new_f32(engine: &'a E, values: &[f32]) -> Self {
        Self::new(engine, Precision::F32, values)
    }

    /// The address of the first element.
    pub fn address(&self) -> Address {
        self.engine.address(&self.memory)
    }

    /// Downloads the values.
    pub fn values(&self) -> Vec<f32> {
        match self.precision {
            Precision::Bf16 => {
                let stored: Vec<u16> = download(self.engine, self.address(), self.len).unwrap();
                stored.into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect()
            }
            _ => download(self.engine, self.address(), self.len).unwrap(),
        }
    }
}

/// Allocates and uploads bytes.
pub fn upload_bytes<E: Engine>(engine: &E, values: &[u8]) -> E::Memory {
    let memory = engine.allocate(values.len()).unwrap();
    engine.upload(values, engine.address(&memory)).unwrap();
    memory
}
