//! Exit codes, failure messages and standard output of every program.

use std::error::Error as StdError;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use serde::Serialize;

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
    /// Interrupted by SIGINT or SIGTERM. No artifact is half written. A training has saved its progress, and the same
    /// command resumes it.
    pub const INTERRUPTED: u8 = 130;
}

/// The reason why a program ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The command or the configuration is invalid.
    #[error(transparent)]
    Usage(Box<dyn StdError + Send + Sync>),
    /// The input data are invalid or missing.
    #[error(transparent)]
    Input(Box<dyn StdError + Send + Sync>),
    /// The run failed.
    #[error(transparent)]
    Failed(Box<dyn StdError + Send + Sync>),
    /// A signal ended the program. Its progress is saved.
    #[error("interrupted; everything is saved, and the same command resumes from here")]
    Interrupted,
    /// A signal ended the program. Its progress is lost.
    #[error("interrupted; nothing is half written, and the same command starts this part again")]
    Stopped,
    /// A program that this one started failed with this exit code, and has printed the reason.
    #[error("a program failed with exit code {0}; it has printed the reason")]
    Reported(u8),
}

impl Failure {
    /// Makes a [`Failure::Usage`].
    pub fn usage(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
        Failure::Usage(error.into())
    }

    /// Makes a [`Failure::Input`].
    pub fn input(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
        Failure::Input(error.into())
    }

    /// Makes a [`Failure::Failed`].
    pub fn failed(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
        Failure::Failed(error.into())
    }

    /// The exit code of the process, see [`exit`].
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => exit::USAGE,
            Failure::Input(_) => exit::INPUT,
            Failure::Failed(_) => exit::FAILED,
            Failure::Interrupted | Failure::Stopped => exit::INTERRUPTED,
            Failure::Reported(code) => *code,
        }
    }

    /// Whether a file or folder could not be read or written.
    pub fn is_io(&self) -> bool {
        match self {
            Failure::Failed(error) => matches!(error.downcast_ref(), Some(Error::Io { .. })),
            _ => false,
        }
    }

    /// Joins the message and the messages of all causes in one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// Joins the message of an error and the messages of all its causes in one line. Omits a message that is already part
/// of the text.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
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

/// Converts the result of a program to its exit code, and prints the failure to standard error. Prints nothing if
/// another program has already done so.
pub fn finish(program: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(Failure::Reported(code)) => ExitCode::from(code),
        Err(failure) => {
            let kind = if failure.code() == exit::INTERRUPTED { "" } else { "error: " };
            progress::line(&format!("{program}: {kind}{}", failure.chain()));
            ExitCode::from(failure.code())
        }
    }
}

/// Prints to standard output. Returns false if the reader has closed the pipe, which is not an error.
///
/// # Errors
/// Any other failure to write.
pub fn print_text(text: &str) -> Result<bool, Failure> {
    print_to(&mut std::io::stdout(), text)
}

/// Prints one line of JSON to standard output. A closed pipe is not an error.
///
/// # Errors
/// Any other failure to write.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::failed)?;
    print_text(&format!("{text}\n")).map(drop)
}

fn print_to(output: &mut impl Write, text: &str) -> Result<bool, Failure> {
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reported_failure_has_the_code_of_its_program() {
        assert_eq!(Failure::Reported(exit::INPUT).code(), exit::INPUT);
        assert_eq!(format!("{:?}", finish("x", Err(Failure::Reported(3)))), format!("{:?}", ExitCode::from(3)));
    }

    #[test]
    fn closed_pipe_is_no_error_but_full_disk_is() {
        let mut read = Vec::new();
        assert!(print_to(&mut read, "line\n").unwrap() && read == b"line\n");
        assert!(!print_to(&mut Failing(ErrorKind::BrokenPipe), "line\n").unwrap());
        assert!(print_to(&mut Failing(ErrorKind::StorageFull), "line\n").is_err());
    }
}
