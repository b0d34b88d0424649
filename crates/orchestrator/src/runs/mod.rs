//! Lists runs, describes one, and deletes trainings that were set aside.

mod description;
mod size;

use std::path::{Path, PathBuf};

use artifacts::stage::{Failure, print_json, print_text};
use artifacts::{RunDir, atomic, names, progress};
use clap::{Args, Subcommand};

use self::description::{Description, table};

/// The arguments of `runs`.
#[derive(Clone, Debug, Args)]
pub struct RunsArgs {
    #[command(subcommand)]
    task: Option<RunsTask>,
    /// The folder whose runs are listed
    #[arg(long, value_name = "DIR", default_value = names::RUNS, global = true)]
    folder: PathBuf,
    /// Print one JSON object for each run
    #[arg(long, global = true)]
    json: bool,
}

/// What is done with runs.
#[derive(Clone, Debug, Subcommand)]
enum RunsTask {
    /// Describe one run
    Show {
        /// The run: its name in the folder, or its path
        run: PathBuf,
    },
    /// Delete the trainings that were set aside when others replaced them
    Prune {
        /// Runs: names in the folder, or paths [default: all in the folder]
        runs: Vec<PathBuf>,
        /// Delete; without this option, only what would be deleted is printed
        #[arg(long)]
        yes: bool,
    },
}

/// Lists runs, describes one, or deletes what was set aside.
///
/// # Errors
/// There is no such folder or run, or files cannot be read or deleted.
pub fn run(args: &RunsArgs) -> Result<(), Failure> {
    match &args.task {
        None => list(args),
        Some(RunsTask::Show { run }) => show(args, &find(args, run)?),
        Some(RunsTask::Prune { runs, yes }) => {
            let runs = if runs.is_empty() {
                all(&args.folder)?
            } else {
                runs.iter().map(|run| find(args, run)).collect::<Result<Vec<_>, _>>()?
            };
            prune(&runs, *yes)
        }
    }
}

fn list(args: &RunsArgs) -> Result<(), Failure> {
    let described = all(&args.folder)?.iter().map(Description::read).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        return described.iter().try_for_each(print_json);
    }
    print_text(&table(&described)).map(drop)
}

fn show(args: &RunsArgs, run: &RunDir) -> Result<(), Failure> {
    let description = Description::read(run)?;
    if args.json {
        return print_json(&description);
    }
    print_text(&description.text()).map(drop)
}

/// Deletes the trainings that were set aside, or prints them.
fn prune(runs: &[RunDir], yes: bool) -> Result<(), Failure> {
    let (mut bytes, mut count) = (0, 0);
    for run in runs {
        for folder in size::set_aside(run)? {
            let size = size::of(&folder)?;
            let verb = if yes { "deleting" } else { "would delete" };
            progress::line(&format!("runs: {verb} {} ({})", folder.display(), progress::bytes(size)));
            if yes {
                atomic::remove_dir(&folder)?;
            }
            (bytes, count) = (bytes + size, count + 1);
        }
    }
    let trainings = if count == 1 { "training" } else { "trainings" };
    let size = progress::bytes(bytes);
    let text = match (count, yes) {
        (0, _) => "no training was set aside\n".to_owned(),
        (_, true) => format!("deleted {count} {trainings} that were set aside ({size})\n"),
        (_, false) => format!("{count} {trainings} set aside take {size}; --yes deletes them\n"),
    };
    print_text(&text).map(drop)
}

/// Returns the runs in a folder, and those of the sweeps in it, sorted by name.
fn all(folder: &Path) -> Result<Vec<RunDir>, Failure> {
    let mut runs = Vec::new();
    for run in folders_in(folder)? {
        if run.config().is_file() {
            runs.push(run);
            continue;
        }
        // A sweep has no settings of its own, but each of its jobs has.
        runs.extend(folders_in(run.path())?.into_iter().filter(|job| job.config().is_file()));
    }
    Ok(runs)
}

fn folders_in(folder: &Path) -> Result<Vec<RunDir>, Failure> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(artifacts::Error::io("list", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(artifacts::Error::io("list", folder))?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found.into_iter().map(RunDir::new).collect())
}

/// Returns a run by its path, or by its name in the folder.
fn find(args: &RunsArgs, run: &Path) -> Result<RunDir, Failure> {
    let named = args.folder.join(run);
    let found = [run.to_owned(), named].into_iter().find(|path| path.is_dir());
    found.map(RunDir::new).ok_or_else(|| {
        let advice = format!("`{}` lists the runs in {}", artifacts::command::line("runs"), args.folder.display());
        artifacts::Error::Missing { artifact: "run".to_owned(), path: run.to_owned(), advice }.into()
    })
}
