//! Passes over the layers that are recorded once and then replayed. On a card, a recording is a CUDA graph.
//!
//! A pass makes some 60 to 300 calls to the driver and to cuDNN. At small batch sizes the host needs more time for the
//! calls than the card for the work. A pass over a workspace can be replayed because its calls have the same arguments
//! every time. Steps whose arguments change from batch to batch (reading the staging buffer of the pixels, Adam) are
//! not part of a pass.

use std::collections::BTreeMap;

use kernels::cuda::{Engine, Result};

/// A pass over the layers that makes the same calls every time for a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pass {
    /// From the normalised pixels to the features, in training mode.
    Forward,
    /// From the features' gradient to the gradients of the parameters.
    Backward,
    /// From the normalised pixels to the features, with folded weights.
    Folded,
    /// From the normalised pixels to the features in evaluation mode, without fused convolutions.
    Unfolded,
}

/// The recorded passes over one workspace.
#[derive(Debug)]
pub(crate) struct Recordings<E: Engine>(BTreeMap<Pass, State<E>>);

/// The state of a pass.
#[derive(Debug)]
enum State<E: Engine> {
    /// The pass ran once, so libraries have loaded their kernels. The next run is recorded.
    RunOnce,
    /// The pass is recorded, and replayed from now on.
    Recorded(E::Recording),
    /// The pass runs call by call, because the device cannot record it.
    NotRecorded,
}

impl<E: Engine> Recordings<E> {
    /// Creates an empty set of recordings.
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Runs `pass`. The first time, calls `run`. The second time, records the calls of `run` and replays them. From
    /// then on, only replays the recording. `run` must make the same calls every time.
    pub(crate) fn run(&mut self, engine: &E, pass: Pass, mut run: impl FnMut() -> Result<()>) -> Result<()> {
        if let Some(State::RunOnce) = self.0.get(&pass) {
            self.0.insert(pass, record(engine, &mut run));
        }
        match self.0.get(&pass) {
            Some(State::Recorded(recording)) => engine.replay(recording),
            Some(_) => run(),
            None => {
                run()?;
                self.0.insert(pass, State::RunOnce);
                Ok(())
            }
        }
    }
}

fn record<E: Engine>(engine: &E, run: &mut dyn FnMut() -> Result<()>) -> State<E> {
    match engine.record(run) {
        Ok(Some(recording)) => State::Recorded(recording),
        Ok(None) => State::NotRecorded,
        Err(error) => {
            artifacts::progress::line(&format!("continuing without a CUDA graph: {error}"));
            State::NotRecorded
        }
    }
}
