//! Makes the commands of cargo and of the programs beside this one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use artifacts::stage::Failure;

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

#[cfg(test)]
mod tests {
    use super::*;

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
