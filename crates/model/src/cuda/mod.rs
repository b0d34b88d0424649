//! The back end for CUDA cards: the walk over the layers with the kernels of [`kernels::cuda`].
//!
//! Where to look: parameters in device memory (`parameters`), the memory of a batch shape (`workspace`), the walk over the
//! layers (`trunk`; `folded` for inference; `recordings` replays a walk as a CUDA graph), and what a network does with them
//! (`session`, and `accelerator` as the back end of a network).

mod accelerator;
mod folded;
mod parameters;
mod recordings;
mod session;
#[cfg(all(test, feature = "emulation"))]
mod tests;
mod trunk;
mod workspace;

use std::fmt;
use std::rc::Rc;

use kernels::cuda::{Card, Error};

use self::session::Session;
use crate::accelerator::Accelerator;
use crate::architecture::Plan;
use crate::batch::Normalisation;
use crate::error::Result;
use crate::precision::PrecisionChoice;

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
pub(crate) fn open(index: usize, precision: PrecisionChoice) -> std::result::Result<SharedCard, Error> {
    let precision = match precision {
        PrecisionChoice::Auto => None,
        PrecisionChoice::Fixed(precision) => Some(precision),
    };
    Ok(SharedCard(Rc::new(Card::open(index, precision)?)))
}

/// A network on a card.
pub(crate) fn accelerator(
    card: &SharedCard,
    plan: &Plan,
    normalisation: &Normalisation,
) -> Result<Box<dyn Accelerator>> {
    Ok(Box::new(Session::new(card.0.clone(), plan, card.0.precision(), normalisation)?))
}
