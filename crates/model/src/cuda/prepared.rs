//! Convolutions that have been prepared, kept for every layer and batch shape that convolves alike.
//!
//! Ranking algorithms is what planning takes its time for. ResNet-50 has 53 convolutions of 23 shapes, and a batch shape that
//! had to make room for another is planned again with what it had.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::engine::{Engine, Geometry, Precision, Purpose};
use super::error::Result;

/// A convolution, and the scratch memory that it needs.
type Ready<E> = (Rc<<E as Engine>::Convolution>, usize);

/// Prepared convolutions of one precision.
#[derive(Debug)]
pub(crate) struct Prepared<E: Engine> {
    precision: Precision,
    known: BTreeMap<(Geometry, Purpose), Ready<E>>,
}

impl<E: Engine> Prepared<E> {
    /// None yet.
    pub(crate) fn none(precision: Precision) -> Self {
        Self { precision, known: BTreeMap::new() }
    }

    /// What they compute in.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// The one for a shape and a purpose.
    pub(crate) fn convolution(&mut self, engine: &E, geometry: Geometry, purpose: Purpose) -> Result<Ready<E>> {
        if let Some(ready) = self.known.get(&(geometry, purpose)) {
            return Ok(ready.clone());
        }
        let (convolution, scratch) = engine.prepare(&geometry, self.precision, purpose)?;
        let ready = (Rc::new(convolution), scratch);
        self.known.insert((geometry, purpose), ready.clone());
        Ok(ready)
    }
}
