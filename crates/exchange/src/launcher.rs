//! What the environment says about the program that started this process: `mpirun`, `srun`, `torchrun` or none.

use std::env;

/// The program that started this process together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Launcher {
    /// `mpirun` or `srun`, through one of MPI's interfaces for process management. `processes` is their number, if a
    /// variable gives it.
    Mpi { processes: Option<usize> },
    /// `torchrun`, which starts processes that find each other through NCCL or Gloo.
    Torchrun { processes: usize },
    /// None of these.
    None,
}

/// The variables with the number of processes of Open MPI, of MPICH and of the interface PMI of Slurm.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];
/// The variable that `srun --mpi=pmix` sets, without one for the number of processes.
const PMIX_RANK: &str = "PMIX_RANK";
/// The number of processes of a step in Slurm.
const SLURM_TASKS: &str = "SLURM_STEP_NUM_TASKS";
/// The variables of `torchrun`. Other programs set one of them alone.
const TORCHRUN: [&str; 3] = ["RANK", "WORLD_SIZE", "MASTER_ADDR"];

impl Launcher {
    /// Reads the environment of this process.
    pub(crate) fn detect() -> Launcher {
        Launcher::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Launcher {
        let number = |name| variable(name).and_then(|value| value.trim().parse::<usize>().ok());
        if let Some(processes) = SIZES.into_iter().find_map(number) {
            return Launcher::Mpi { processes: Some(processes) };
        }
        if variable(PMIX_RANK).is_some() {
            return Launcher::Mpi { processes: number(SLURM_TASKS) };
        }
        match number("WORLD_SIZE") {
            Some(processes) if TORCHRUN.iter().all(|name| variable(name).is_some()) => Launcher::Torchrun { processes },
            _ => Launcher::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_launchers_by_their_variables() {
        let detect = |set: &[(&str, &str)]| {
            let find = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Launcher::from_variables(find)
        };
        assert_eq!(detect(&[]), Launcher::None);
        assert_eq!(detect(&[("OMPI_COMM_WORLD_SIZE", "4")]), Launcher::Mpi { processes: Some(4) });
        assert_eq!(detect(&[("PMI_RANK", "0"), ("PMI_SIZE", "2")]), Launcher::Mpi { processes: Some(2) });
        assert_eq!(detect(&[("PMIX_RANK", "0")]), Launcher::Mpi { processes: None });
        let slurm = [("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "8")];
        assert_eq!(detect(&slurm), Launcher::Mpi { processes: Some(8) });
        // A batch job of Slurm has no step of its own.
        assert_eq!(detect(&[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")]), Launcher::None);
        let torchrun = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "localhost")];
        assert_eq!(detect(&torchrun), Launcher::Torchrun { processes: 2 });
        assert_eq!(detect(&torchrun[1..]), Launcher::None);
    }
}
