//! Walks over the layers that are recorded and then asked for as a whole: CUDA graphs, on a card.
//!
//! A walk is some 60 to 300 calls of the driver's and cuDNN's, and at small batches the host needs longer for them than
//! the card for the work. Each walk has the same arguments every time, because all that changes from batch to batch (the
//! slot that pixels arrive in, Adam's constants) stays outside of it.

use std::collections::BTreeMap;

use kernels::cuda::{Engine, Result};

/// A walk that is always the same for a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Walk {
    /// From the normalised pixels to the features, in training.
    Forward,
    /// From the features' gradient to those of the parameters.
    Backward,
    /// From the normalised pixels to the features, with folded weights.
    Folded,
    /// The same without fused convolutions.
    Unfolded,
}

/// The walks over one workspace.
#[derive(Debug)]
pub(crate) struct Recordings<E: Engine>(BTreeMap<Walk, Walked<E>>);

/// How far a walk is.
#[derive(Debug)]
enum Walked<E: Engine> {
    /// Done once, so that libraries have loaded what they need.
    Once,
    /// Asked for as a whole from now on.
    Recorded(E::Recording),
    /// Done call by call, because the device does not record.
    Refused,
}

impl<E: Engine> Recordings<E> {
    /// Nothing yet.
    pub(crate) fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Asks for `walk`, which makes the same calls each time: the first time call by call, the second time recorded, and
    /// as a whole from then on.
    pub(crate) fn walk(&mut self, engine: &E, which: Walk, mut walk: impl FnMut() -> Result<()>) -> Result<()> {
        if let Some(Walked::Once) = self.0.get(&which) {
            self.0.insert(which, recorded(engine, &mut walk));
        }
        match self.0.get(&which) {
            Some(Walked::Recorded(recording)) => engine.replay(recording),
            Some(_) => walk(),
            None => {
                walk()?;
                self.0.insert(which, Walked::Once);
                Ok(())
            }
        }
    }
}

fn recorded<E: Engine>(engine: &E, walk: &mut dyn FnMut() -> Result<()>) -> Walked<E> {
    match engine.record(walk) {
        Ok(Some(recording)) => Walked::Recorded(recording),
        Ok(None) => Walked::Refused,
        Err(error) => {
            artifacts::progress::line(&format!("goes on without a CUDA graph: {error}"));
            Walked::Refused
        }
    }
}
