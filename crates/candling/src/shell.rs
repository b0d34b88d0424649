//! What a shell needs to know of the program: completions and man pages.

use std::path::Path;

use artifacts::progress;
use artifacts::stage::{Failure, print_text};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// Prints the script that completes the arguments of `candling` in a shell.
pub(crate) fn print_completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "candling", &mut script);
    print_text(&String::from_utf8_lossy(&script)).map(drop)
}

/// Writes `candling.1` and a page of each command, such as `candling-predict.1`.
pub(crate) fn write_man_pages(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(artifacts::Error::io("create", dir))?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(artifacts::Error::io("write man pages to", dir))?;
    progress::line(&format!("man: wrote candling.1 and the pages of its commands to {}", dir.display()));
    Ok(())
}
