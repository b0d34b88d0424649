//! Makes and runs the commands of cargo and of the stage programs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;

use artifacts::stage::{Failure, exit};

use crate::signals;

/// Returns the root of the workspace: the closest folder around this program that contains `pipelines/` and
/// `Cargo.toml`, or else the closest one that contains `pipelines/`, because a copy need not have the sources, or else
/// the workspace that the program was built from. The program may have been copied from another machine.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = std::env::current_exe().unwrap_or_default();
        let around = root_around(&here);
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        around.or(built_from).unwrap_or(Path::new(".")).to_owned()
    });
    &ROOT
}

fn root_around(program: &Path) -> Option<&Path> {
    let has_pipelines = |folder: &&Path| folder.join("pipelines").is_dir();
    let with_manifest = |folder: &&Path| has_pipelines(folder) && folder.join("Cargo.toml").is_file();
    program.ancestors().find(with_manifest).or_else(|| program.ancestors().find(has_pipelines))
}

/// Returns a cargo command that runs in the workspace.
///
/// Removes the environment variables that `cargo run` sets for the package xtask. If they change, the build script of
/// `ring` runs again, and everything that depends on `ring` is compiled again.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    for (name, _) in std::env::vars_os() {
        if is_package_variable(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

/// Returns whether cargo sets this environment variable for a single package.
fn is_package_variable(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// Returns the command of a program such as `candling-train`, which must be in the same folder as this program.
pub(crate) fn program(stage: &str) -> Result<Command, Failure> {
    let here = std::env::current_exe().map_err(Failure::failed)?;
    let name = format!("candling-{stage}{}", std::env::consts::EXE_SUFFIX);
    let path: PathBuf = here.with_file_name(name);
    if !path.exists() {
        return Err(Failure::failed(format!(
            "there is no program `{}`; build it with `cargo build --release --bins`",
            path.display()
        )));
    }
    Ok(Command::new(path))
}

/// Runs a program to its end. A failure has the exit code of the program.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = signals::spawn(command).and_then(signals::Running::wait).map_err(|e| not_started(command, &e))?;
    check_status(command, status)
}

/// Runs a program to its end and passes each line of its standard output to `on_line` when it is printed. A failure has
/// the exit code of the program.
///
/// # Errors
/// The failure of the program, otherwise the first error of `on_line`.
pub(crate) fn run_reading(
    command: &mut Command,
    mut on_line: impl FnMut(&str) -> Result<(), Failure> + Send,
) -> Result<(), Failure> {
    let mut program = signals::spawn(command.stdout(Stdio::piped())).map_err(|e| not_started(command, &e))?;
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

/// Runs a program and returns its standard output. A failure has the exit code of the program.
pub(crate) fn capture(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let mut program = signals::spawn(command.stdout(Stdio::piped())).map_err(|e| not_started(command, &e))?;
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
    Failure::failed(format!("failed to start `{}`: {error}", Path::new(command.get_program() as &OsStr).display()))
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

    #[test]
    fn root_is_the_closest_folder_with_pipelines_and_preferably_a_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("target/release");
        for folder in [dir.path(), &inner] {
            std::fs::create_dir_all(folder.join("pipelines")).unwrap();
        }
        assert_eq!(root_around(&inner.join("xtask")), Some(inner.as_path()));
        std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(root_around(&inner.join("xtask")), Some(dir.path()));
    }
}
