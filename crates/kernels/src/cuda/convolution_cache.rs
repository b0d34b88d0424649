//! A cache of prepared convolutions, shared by every network, layer and batch shape on an engine.
//!
//! Most of the time to prepare a batch shape goes into ranking cuDNN's algorithms. ResNet-50 has 53 convolutions, but
//! only 23 shapes. The cache also helps if a batch shape returns after its workspace was freed, and if a second network
//! uses the same card.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::error::Result;
use crate::precision::Precision;
use crate::shape::{ConvShape, Gradients};

type Key = (ConvShape, Precision, Gradients);

/// Prepared convolutions of type `C`, each with the bytes of scratch memory that it needs.
#[derive(Debug)]
pub struct ConvolutionCache<C>(RefCell<BTreeMap<Key, (Rc<C>, usize)>>);

impl<C> Default for ConvolutionCache<C> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<C> ConvolutionCache<C> {
    /// Returns the convolution for `key`. Calls `prepare` if it is not in the cache.
    pub(crate) fn get_or_prepare(
        &self,
        key: Key,
        prepare: impl FnOnce() -> Result<(C, usize)>,
    ) -> Result<(Rc<C>, usize)> {
        let mut cached = self.0.borrow_mut();
        if let Some(found) = cached.get(&key) {
            return Ok(found.clone());
        }
        let (convolution, scratch) = prepare()?;
        let prepared = (Rc::new(convolution), scratch);
        cached.insert(key, prepared.clone());
        Ok(prepared)
    }
}
