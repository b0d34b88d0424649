//! Runs programs, and converts their ends to failures.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use artifacts::stage::{Failure, exit};

use crate::signals::{self, Forwarding};

/// Runs a program to its end.
///
/// # Errors
/// The program does not start, or fails. The failure has the exit code of the program.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    run_forwarding(command, Forwarding::Unchanged)
}

/// Like [`run`] for a command of `mpirun`.
pub(crate) fn run_mpirun(command: &mut Command) -> Result<(), Failure> {
    run_forwarding(command, Forwarding::ToMpirun)
}

fn run_forwarding(command: &mut Command, forwarding: Forwarding) -> Result<(), Failure> {
    let status = signals::spawn(command, forwarding).and_then(signals::Running::wait);
    check_status(command, status.map_err(|e| not_started(command, &e))?)
}

/// Runs a program to its end and passes each line of its standard output to `on_line` when it is printed. A failure has
/// the exit code of the program.
///
/// # Errors
/// The failure of the program, otherwise the first error of `on_line`.
pub fn run_reading(
    command: &mut Command,
    mut on_line: impl FnMut(&str) -> Result<(), Failure> + Send,
) -> Result<(), Failure> {
    let mut program =
        signals::spawn(command.stdout(Stdio::piped()), Forwarding::Unchanged).map_err(|e| not_started(command, &e))?;
    let Some(output) = program.take_stdout() else { return Err(Failure::failed("the program's output is not piped")) };
    let read = move || {
        let mut result = Ok(());
        // Reads to the end even after an error, because the program would block on a full pipe.
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            result = result.and_then(|()| on_line(&String::from_utf8_lossy(&line)));
        }
        result
    };
    let (status, read) = std::thread::scope(|scope| {
        let reader = scope.spawn(read);
        (program.wait(), reader.join())
    });
    check_status(command, status.map_err(|e| not_started(command, &e))?)?;
    read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a program and returns its standard output.
///
/// # Errors
/// The program does not start, or fails. The failure has the exit code of the program.
pub fn capture(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let mut program =
        signals::spawn(command.stdout(Stdio::piped()), Forwarding::Unchanged).map_err(|e| not_started(command, &e))?;
    let Some(mut output) = program.take_stdout() else {
        return Err(Failure::failed("the program's output is not piped"));
    };
    let (status, read) = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map(|_| bytes)
        });
        (program.wait(), reader.join())
    });
    check_status(command, status.map_err(|e| not_started(command, &e))?)?;
    read.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(Failure::failed)
}

/// Converts the exit status of a program.
fn check_status(command: &Command, status: ExitStatus) -> Result<(), Failure> {
    let name = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    /// The exit code of cargo for most failures.
    const CARGO_FAILED: u8 = 101;
    match status.code().map(|code| (code, u8::try_from(code))) {
        Some((_, Ok(exit::DONE))) => Ok(()),
        // The program has printed the reason to standard error.
        Some((_, Ok(code @ (exit::FAILED | exit::USAGE | exit::INPUT | exit::INTERRUPTED)))) => {
            Err(Failure::Reported(code))
        }
        Some((_, Ok(CARGO_FAILED))) if name == "cargo" => Err(Failure::Reported(exit::FAILED)),
        Some((code, _)) => Err(Failure::failed(format!("{name} failed with exit code {code}"))),
        None if signals::is_interruption(status) => Err(Failure::Stopped),
        None => Err(Failure::failed(format!("{name} was killed by a signal ({status})"))),
    }
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::failed(format!("failed to start `{}`: {error}", Path::new(command.get_program()).display()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn failure_has_exit_code_of_program() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        assert_eq!(capture(&mut shell("echo a plan")).unwrap(), b"a plan\n");
        for (script, code) in [
            ("exit 1", exit::FAILED),
            ("exit 2", exit::USAGE),
            ("exit 3", exit::INPUT),
            ("exit 130", exit::INTERRUPTED),
            ("kill -INT $$", exit::INTERRUPTED),
            ("kill -KILL $$", exit::FAILED),
            ("exit 7", exit::FAILED),
        ] {
            assert_eq!(capture(&mut shell(script)).unwrap_err().code(), code, "{script}");
            assert_eq!(run(&mut shell(script)).unwrap_err().code(), code, "{script}");
            assert_eq!(run_reading(&mut shell(script), |_| Ok(())).unwrap_err().code(), code, "{script}");
        }
        // The program has printed the reason.
        assert!(matches!(run(&mut shell("exit 3")), Err(Failure::Reported(exit::INPUT))));
        assert!(run(&mut shell("exit 7")).unwrap_err().to_string().contains("exit code 7"));
        let mut lines = Vec::new();
        let read = |line: &str| {
            lines.push(line.to_owned());
            Ok(())
        };
        run_reading(&mut shell("echo one; printf two"), read).unwrap();
        assert_eq!(lines, ["one", "two"]);
    }
}
