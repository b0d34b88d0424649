//! Why a program ends without its result, and the exit code that says so: of the stages, the tools and the orchestrator.

use std::error::Error as StdError;
use std::process::ExitCode;

use crate::{Error, progress};

/// Exit codes of every program.
pub mod exit {
    /// Done, or nothing to do.
    pub const DONE: u8 = 0;
    /// The run failed.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: u8 = 2;
    /// Bad or missing input data.
    pub const INPUT: u8 = 3;
    /// Interrupted by SIGINT or SIGTERM with nothing half written: what a training had done is saved, and the same command
    /// goes on from there.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a stage ended without its result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The user's command or configuration is at fault.
    #[error(transparent)]
    Usage(Box<dyn StdError + Send + Sync>),
    /// The data are at fault.
    #[error(transparent)]
    Input(Box<dyn StdError + Send + Sync>),
    /// The run failed.
    #[error(transparent)]
    Failed(Box<dyn StdError + Send + Sync>),
    /// A signal ended it, with everything saved.
    #[error("interrupted; everything is saved, and the same command goes on from here")]
    Interrupted,
    /// A signal ended it, and what it had begun is begun anew.
    #[error("interrupted; nothing is half written, and the same command starts this part again")]
    Stopped,
}

impl Failure {
    /// The user's command or configuration is at fault.
    pub fn usage(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
        Failure::Usage(error.into())
    }

    /// The data are at fault.
    pub fn input(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
        Failure::Input(error.into())
    }

    /// The run failed.
    pub fn failed(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
        Failure::Failed(error.into())
    }

    /// The process's exit code, see [`exit`].
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => exit::USAGE,
            Failure::Input(_) => exit::INPUT,
            Failure::Failed(_) => exit::FAILED,
            Failure::Interrupted | Failure::Stopped => exit::INTERRUPTED,
        }
    }

    /// The message with all its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            cause = error.source();
        }
        text
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Config(_) => Failure::usage(error),
            Error::Missing { .. } | Error::Malformed { .. } | Error::Damaged { .. } | Error::SchemaVersion { .. } => {
                Failure::input(error)
            }
            Error::Io { .. } => Failure::failed(error),
        }
    }
}

/// Turns a program's result into its exit code, and says what failed.
pub fn finish(program: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(failure) => {
            let kind = if failure.code() == exit::INTERRUPTED { "" } else { "error: " };
            progress::line(&format!("{program}: {kind}{}", failure.chain()));
            ExitCode::from(failure.code())
        }
    }
}
