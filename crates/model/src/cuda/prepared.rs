//! Convolutions that have been prepared, kept for every network, layer and batch shape that convolves alike.
//!
//! Ranking algorithms is what planning takes its time for. ResNet-50 has 53 convolutions of 23 shapes; a batch shape that
//! had to make room for another is planned again with what it had, and so is a second network on the same card.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::engine::{Backward, Engine, Geometry, Precision};
use super::error::Result;

/// A convolution, and the scratch memory that it needs.
type Ready<E> = (Rc<<E as Engine>::Convolution>, usize);

/// Prepared convolutions of a device.
#[derive(Debug)]
pub(crate) struct Prepared<E: Engine>(BTreeMap<(Geometry, Precision, Backward), Ready<E>>);

impl<E: Engine> Default for Prepared<E> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// The convolution for a shape, a precision and the gradients that it is asked for.
pub(crate) fn convolution<E: Engine>(
    engine: &E,
    geometry: Geometry,
    precision: Precision,
    backward: Backward,
) -> Result<Ready<E>> {
    let Prepared(known) = &mut *engine.prepared().borrow_mut();
    let key = (geometry, precision, backward);
    if let Some(ready) = known.get(&key) {
        return Ok(ready.clone());
    }
    let (convolution, scratch) = engine.prepare(&geometry, precision, backward)?;
    let ready = (Rc::new(convolution), scratch);
    known.insert(key, ready.clone());
    Ok(ready)
}
