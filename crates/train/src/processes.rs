//! Several processes that train together. The first one decides what to train and writes the results. The others wait for
//! its orders, and compute their slices of each batch.
//!
//! All processes see the run and its shards under the same path.

use std::rc::Rc;

use artifacts::stage::Failure;
use artifacts::{RunDir, progress};
use exchange::Exchange;

use crate::error::Error;
use crate::interrupt::InterruptFlag;
use crate::orders::{Order, receive};
use crate::stage::Trainer;

/// Follows the orders of the first process until it ends the training.
///
/// # Errors
/// The training fails for a reason that only this process knows, such as a shard that it cannot read.
pub(crate) fn follow(exchange: &Rc<dyn Exchange>) -> Result<(), Failure> {
    progress::silence();
    let interrupt = InterruptFlag::install().map_err(Error::Signals)?;
    let result = follow_orders(exchange, &|_| interrupt.is_set());
    progress::unsilence();
    result
}

/// [`follow`] without signals and messages.
pub(crate) fn follow_orders(exchange: &Rc<dyn Exchange>, stop: &dyn Fn(u64) -> bool) -> Result<(), Failure> {
    let Order::Open { run, config } = receive(&**exchange)? else { return Ok(()) };
    let run = RunDir::new(run);
    let trainer = match Trainer::open(&run, &config, exchange, stop) {
        Err(Failure::Interrupted) => return receive(&**exchange).map(drop),
        trainer => trainer?,
    };
    while let Order::Train { run, resume_from } = receive(&**exchange)? {
        match trainer.join_run(run, resume_from.as_deref()) {
            Ok(()) => (),
            // All processes have found the same. The first one reports it and ends the others.
            Err(Error::NotFinite { .. } | Error::DifferentWeights { .. }) => drop(receive(&**exchange)?),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
