//! The back end for CUDA cards: N,H,W,C tensors in bf16 (or f32), cuDNN's convolutions, kernels of our own for the rest.
//!
//! Tested in emulation and on an H200; docs/cuda.md says what was measured.
//!
//! Where to look: what is asked of a device (`engine`), the card (`card`, what it must be in `requirements`, host memory
//! that it copies from and to in `pinned`, `convolution` with its `descriptors`, `graph`), the kernels as functions
//! (`kernels`, `shapes`), where the parameters stand (`parameters`), the memory of a batch shape (`workspace`, its
//! convolutions `prepared`), the walk over the layers (`trunk`; `folded` for inference; `recordings` asks for a walk as a
//! whole), and what a network does with them (`session`). `norms` has the batch norms alone, to be measured.

mod accelerator;
mod card;
mod convolution;
mod descriptors;
mod engine;
mod error;
mod folded;
mod graph;
mod kernels;
mod norms;
mod parameters;
mod pinned;
mod prepared;
mod recordings;
mod requirements;
mod session;
mod shapes;
#[cfg(test)]
pub(crate) mod tests;
mod trunk;
mod workspace;

use std::fmt;
use std::rc::Rc;

use self::card::Card;
use self::engine::Precision;
pub use self::error::Error;
pub use self::norms::Norms;
use self::session::Session;
use crate::accelerator::Accelerator;
use crate::architecture::Plan;
use crate::batch::Normalisation;

/// An open card, shared by the networks on it.
#[derive(Clone, Debug)]
pub struct SharedCard(Rc<Card>);

impl SharedCard {
    /// Bytes of its memory that are taken, by all programs; nothing where the driver does not say.
    pub(crate) fn memory_in_use(&self) -> Option<u64> {
        self.0.memory_in_use()
    }
}

impl fmt::Display for SharedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Opens the card `index`, for networks that compute in `precision`.
///
/// # Errors
/// No driver, no cuDNN, no such card, one of them too old, one without bf16, or one that refuses to start.
pub fn open(index: usize, precision: crate::Precision) -> Result<SharedCard, Error> {
    let precision = match precision {
        crate::Precision::Auto => None,
        crate::Precision::F32 => Some(Precision::F32),
        crate::Precision::Tf32 => Some(Precision::Tf32),
        crate::Precision::Bf16 => Some(Precision::Bf16),
    };
    Ok(SharedCard(Rc::new(Card::open(index, precision)?)))
}

/// A network on a card.
pub(crate) fn accelerator(
    card: &SharedCard,
    plan: &Plan,
    normalisation: &Normalisation,
) -> Result<Box<dyn Accelerator>, Error> {
    Ok(Box::new(Session::new(card.0.clone(), plan, card.0.precision(), normalisation)?))
}
