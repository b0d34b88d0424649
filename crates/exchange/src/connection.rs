//! Finds the other processes of a training.

use std::cell::RefCell;
use std::rc::Rc;

use crate::launcher::Launcher;
use crate::{Alone, Exchange};

/// The processes of a training cannot find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Several processes were started, but the program was built without MPI.
    #[error(
        "{} were started, but this program was built without MPI; build it with `--features mpi` (of the package \
         `candling` or `train`), or start one process",
        processes.map_or_else(|| "several processes".to_owned(), |processes| format!("{processes} processes"))
    )]
    NoMpi {
        /// The number of processes, if it is known.
        processes: Option<usize>,
    },
    /// MPI found another number of processes than its launcher started.
    #[error(
        "mpirun started {started} processes, but MPI connects {connected}: mpirun belongs to another MPI than the one \
         that this program was built with"
    )]
    OtherMpi {
        /// The number that the launcher started.
        started: usize,
        /// The number that MPI connects.
        connected: usize,
    },
    /// MPI did not start.
    #[error("MPI did not start, or is already running in this process")]
    NotStarted,
    /// `torchrun` started several processes.
    #[error(
        "torchrun started {processes} processes, which find each other through NCCL; Candling trains with several \
         processes through MPI only: start it with mpirun or srun"
    )]
    Torchrun {
        /// The number of processes.
        processes: usize,
    },
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Exchange>>> = const { RefCell::new(None) };
}

/// The connection of this process to the others. MPI is shut down when it is dropped, after all processes have dropped
/// theirs.
#[derive(Debug)]
pub struct Connection {
    exchange: Rc<dyn Exchange>,
}

impl Connection {
    /// The exchange with the other processes.
    #[must_use]
    pub fn exchange(&self) -> &Rc<dyn Exchange> {
        &self.exchange
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| *current = None);
    }
}

/// Connects this process to those that were started together with it, if there are any. [`current`] then returns the
/// exchange on the same thread, until the connection is dropped.
///
/// # Errors
/// Several processes were started that cannot find each other.
pub fn connect() -> Result<Connection, Error> {
    let exchange: Rc<dyn Exchange> = match Launcher::detect() {
        Launcher::None | Launcher::Torchrun { processes: 0 | 1 } => Rc::new(Alone),
        Launcher::Torchrun { processes } => return Err(Error::Torchrun { processes }),
        Launcher::Mpi { processes } => connect_by_mpi(processes)?,
    };
    CURRENT.with_borrow_mut(|current| *current = Some(Rc::clone(&exchange)));
    Ok(Connection { exchange })
}

/// Returns the exchange of the connection of this thread, or that of a single process if there is none.
#[must_use]
pub fn current() -> Rc<dyn Exchange> {
    CURRENT.with_borrow(Clone::clone).unwrap_or_else(|| Rc::new(Alone))
}

#[cfg(feature = "mpi")]
fn connect_by_mpi(processes: Option<usize>) -> Result<Rc<dyn Exchange>, Error> {
    let exchange = crate::mpi::Mpi::start().ok_or(Error::NotStarted)?;
    let connected = exchange.world();
    match processes {
        Some(started) if started != connected => Err(Error::OtherMpi { started, connected }),
        _ => Ok(Rc::new(exchange)),
    }
}

#[cfg(not(feature = "mpi"))]
fn connect_by_mpi(processes: Option<usize>) -> Result<Rc<dyn Exchange>, Error> {
    if processes == Some(1) { Ok(Rc::new(Alone)) } else { Err(Error::NoMpi { processes }) }
}
