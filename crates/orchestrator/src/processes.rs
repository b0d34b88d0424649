//! The option `--processes N`: starts a program as N processes of this machine, through the `mpirun` that is installed.

use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::thread;

use artifacts::stage::Failure;

use crate::process;

/// The program that starts processes, of Open MPI or MPICH.
const MPIRUN: &str = "mpirun";

/// Settings of Open MPI, which other launchers ignore.
const OPEN_MPI: [(&str, &str); 4] = [
    // More processes than cores.
    ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
    // The processes share all cores, and each has several threads.
    ("OMPI_MCA_hwloc_base_binding_policy", "none"),
    // Open MPI starts no process of the superuser without both. This program does with one process what it does with
    // several.
    ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
    ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
];

/// Runs a training as several processes.
///
/// # Errors
/// There is no `mpirun`, or a process fails. The failure has the exit code of the process.
pub(crate) fn run(command: &Command, processes: usize) -> Result<(), Failure> {
    let probe = Command::new(MPIRUN).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return Err(Failure::usage(
            "--processes needs the program mpirun; install Open MPI (Debian: apt-get install openmpi-bin) or MPICH",
        ));
    }
    process::run_mpirun(&mut command_of_mpirun(command, processes)).map_err(|failure| match failure {
        // The process has printed the reason.
        Failure::Reported(_) | Failure::Stopped => failure,
        _ => Failure::failed(format!(
            "{}: a process ended without a message, as if it was killed, and the others were ended; the same command resumes \
             the training from its last checkpoint",
            failure.chain()
        )),
    })
}

fn command_of_mpirun(command: &Command, processes: usize) -> Command {
    let mut several = Command::new(MPIRUN);
    several.arg("-n").arg(processes.to_string()).arg(command.get_program()).args(command.get_args());
    let set = |name: &str| std::env::var_os(name).is_some();
    for (name, value) in OPEN_MPI.into_iter().filter(|(name, _)| !set(name)) {
        several.env(name, value);
    }
    if !set("RAYON_NUM_THREADS") {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        several.env("RAYON_NUM_THREADS", (cores / processes).max(1).to_string());
    }
    several
}

/// Parses the value of `--processes`.
pub(crate) fn parse(value: &str) -> Result<usize, Failure> {
    let number = value.parse().ok().filter(|number| (1..=1024).contains(number));
    number.ok_or_else(|| Failure::usage(format!("--processes is `{value}`; it must be 1 to 1024")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mpirun_starts_the_command_with_its_arguments() {
        let mut train = Command::new("candling-train");
        train.args(["--run-dir", "runs/my run"]);
        let several = command_of_mpirun(&train, 2);
        let arguments: Vec<_> = several.get_args().collect();
        assert_eq!(several.get_program(), "mpirun");
        assert_eq!(arguments, ["-n", "2", "candling-train", "--run-dir", "runs/my run"]);
    }

    #[test]
    fn number_of_processes_is_positive() {
        assert_eq!(parse("4").unwrap(), 4);
        for wrong in ["0", "-1", "two", "1000000"] {
            assert!(parse(wrong).unwrap_err().to_string().contains("1 to 1024"));
        }
    }
}
