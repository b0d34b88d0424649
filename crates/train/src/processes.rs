//! Several processes that train together. The first one decides what to train and writes the results. The others wait for
//! its orders, and compute their slices of each batch.
//!
//! All processes see the run and its shards under the same path.

use std::path::PathBuf;
use std::rc::Rc;

use artifacts::stage::Failure;
use artifacts::{RunDir, progress};
use exchange::Exchange;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Error;
use crate::interrupt::InterruptFlag;
use crate::stage::Trainer;

/// What the first process tells the others.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Open the shards of a run.
    Open {
        /// The folder of the run.
        run: PathBuf,
        /// The resolved configuration.
        config: Box<Config>,
    },
    /// Train run number `run` together.
    Train {
        /// The number of the run, from 0.
        run: usize,
        /// The folder whose checkpoint `last` the training resumes from. `None`: from the initial weights.
        resume_from: Option<PathBuf>,
    },
    /// Nothing is left to train.
    End,
}

/// Sends an order to the other processes, if there are any.
pub(crate) fn send(exchange: &dyn Exchange, order: &Order) -> Result<(), Failure> {
    if exchange.world() > 1 {
        exchange.broadcast(serde_json::to_vec(order).map_err(Failure::failed)?);
    }
    Ok(())
}

fn receive(exchange: &dyn Exchange) -> Result<Order, Failure> {
    serde_json::from_slice(&exchange.broadcast(Vec::new())).map_err(Failure::failed)
}

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
    let trainer = Trainer::open(&run, &config, exchange, stop)?;
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
