//! What the first process of a training tells the others.

use std::path::PathBuf;

use artifacts::stage::Failure;
use exchange::Exchange;
use serde::{Deserialize, Serialize};

use crate::config::Config;

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

/// Waits for an order of the first process.
pub(crate) fn receive(exchange: &dyn Exchange) -> Result<Order, Failure> {
    serde_json::from_slice(&exchange.broadcast(Vec::new())).map_err(Failure::failed)
}
