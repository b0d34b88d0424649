//! Building and running the stage programs, and cargo.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;

use artifacts::progress;
use artifacts::stage::{Failure, exit};

use crate::cuda::{self, Choice, FEATURES};
use crate::signals;

/// The workspace's root, where `pipelines/` is: the one that this program stands in, which may have been copied to another
/// machine, else the one that it was built from.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = std::env::current_exe().unwrap_or_default();
        let around = here.ancestors().find(|folder| folder.join("pipelines").is_dir());
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        around.or(built_from).unwrap_or(Path::new(".")).to_owned()
    });
    &ROOT
}

/// A cargo command in the workspace.
///
/// Without what `cargo run` says of this package: the build script of `ring` asks cargo to run it again when these
/// variables change, and with it all that depends on it would be compiled anew.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    for (name, _) in std::env::vars_os() {
        if is_of_package(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

fn is_of_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// Builds the stage programs, so that what runs is what the sources say.
pub(crate) fn build(cuda: Choice) -> Result<(), Failure> {
    build_kinds(&["--bins"], cuda)
}

/// Builds programs of these kinds (`--bins`, `--examples`).
///
/// All at once, so that they share one build of each dependency with the tests; the running program is left out. A machine
/// without Rust, such as a node of a cluster, takes what was copied there as it is.
pub(crate) fn build_kinds(kinds: &[&str], cuda: Choice) -> Result<(), Failure> {
    if !has_cargo() {
        progress::line("there is no cargo on this machine: the programs beside this one are taken as they are");
        return Ok(());
    }
    let mut build = cargo(&["build", "--release", "--workspace", "--exclude", "xtask"]);
    build.args(kinds);
    match cuda::decide(cuda)? {
        Some(toolkit) => run(toolkit.apply(build.args(FEATURES))),
        None => run(&mut build),
    }
}

/// Whether there is a cargo. The one that started this program names itself.
fn has_cargo() -> bool {
    let starts = || cargo(&["--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    std::env::var_os("CARGO").is_some() || starts()
}

/// A stage program, e.g. `candling-train`. It stands beside this one.
pub(crate) fn program(stage: &str) -> Result<Command, Failure> {
    let here = std::env::current_exe().map_err(Failure::failed)?;
    let name = format!("candling-{stage}{}", std::env::consts::EXE_SUFFIX);
    let path: PathBuf = here.with_file_name(name);
    if !path.exists() {
        return Err(Failure::failed(format!(
            "there is no program `{}`; build it with `cargo build --release -p {stage}`",
            path.display()
        )));
    }
    Ok(Command::new(path))
}

/// Runs a program to its end. Its exit code becomes this one's.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.spawn().and_then(signals::wait).map_err(|e| not_started(command, &e))?;
    verdict(command, status)
}

/// Runs a program to its end, and passes each line of its standard output to `on_line` as it comes. Its exit code becomes
/// this one's.
///
/// # Errors
/// The program's failure, or else the first error of `on_line`.
pub(crate) fn run_reading(
    command: &mut Command,
    mut on_line: impl FnMut(&str) -> Result<(), Failure> + Send,
) -> Result<(), Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| not_started(command, &e))?;
    let Some(output) = child.stdout.take() else { return Err(Failure::failed("the program's output is not piped")) };
    let read = move || {
        let mut result = Ok(());
        // All of it is read even if a line cannot be used, because the program would wait for ever on a full pipe.
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            result = result.and_then(|()| on_line(&String::from_utf8_lossy(&line)));
        }
        result
    };
    let (status, read) = std::thread::scope(|scope| {
        let reader = scope.spawn(read);
        (signals::wait(child), reader.join())
    });
    verdict(command, status.map_err(|e| not_started(command, &e))?)?;
    read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a program and returns what it prints. Its exit code becomes this one's.
pub(crate) fn capture(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| not_started(command, &e))?;
    verdict(command, output.status).map(|()| output.stdout)
}

/// What the end of a program says of it.
fn verdict(command: &Command, status: ExitStatus) -> Result<(), Failure> {
    let name = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match status.code().map(u8::try_from) {
        Some(Ok(exit::DONE)) => Ok(()),
        // The program has said why on standard error; only the kind is handed on.
        Some(Ok(exit::USAGE)) => Err(Failure::usage(format!("{name} refused its configuration"))),
        Some(Ok(exit::INPUT)) => Err(Failure::input(format!("{name} cannot use its input"))),
        Some(Ok(exit::INTERRUPTED)) => Err(Failure::Interrupted),
        Some(_) => Err(Failure::failed(format!("{name} failed"))),
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
    fn a_programs_end_is_this_ones_whether_or_not_it_is_read() {
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
        ] {
            assert_eq!(capture(&mut shell(script)).unwrap_err().code(), code, "{script}");
            assert_eq!(run(&mut shell(script)).unwrap_err().code(), code, "{script}");
            assert_eq!(run_reading(&mut shell(script), |_| Ok(())).unwrap_err().code(), code, "{script}");
        }
        let mut lines = Vec::new();
        let read = |line: &str| {
            lines.push(line.to_owned());
            Ok(())
        };
        run_reading(&mut shell("echo one; printf two"), read).unwrap();
        assert_eq!(lines, ["one", "two"]);
    }
}
