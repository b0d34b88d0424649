//! House rules that no compiler checks: file length, forbidden words, dependencies that point one way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::stage::Failure;

use crate::programs::root;

/// A file longer than this holds more than one thing.
const MAX_LINES: usize = 500;

/// Crates that may be imported by stages; stages import no stage.
const STAGES: [&str; 4] = ["ingest", "train", "evaluate", "report"];

pub(crate) fn run() -> Result<(), Failure> {
    let mut faults = Vec::new();
    for path in tracked_files()? {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        check_file(&path, &text, &mut faults);
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("house rules:\n  {}", faults.join("\n  "))))
}

fn tracked_files() -> Result<Vec<PathBuf>, Failure> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z"]).current_dir(root());
    let output = list.output().map_err(|e| Failure::failed(format!("failed to run git: {e}")))?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

fn check_file(path: &Path, text: &str, faults: &mut Vec<String>) {
    let shown = path.display();
    if path.extension().is_some_and(|extension| extension == "rs" || extension == "cu") {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{shown}: {lines} lines, more than {MAX_LINES}; split it along its purpose"));
        }
    }
    // Written in two parts, so that this file does not hold what it forbids.
    for word in [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X"), concat!("#[ig", "nore")] {
        if text.contains(word) && path.extension().is_some_and(|extension| extension == "rs") {
            faults.push(format!("{shown}: holds `{word}`; finish it or file an issue"));
        }
    }
    if let Some(stage) = stage_of(path)
        && path.ends_with("Cargo.toml")
    {
        for other in STAGES.into_iter().filter(|other| *other != stage) {
            if text.lines().any(|line| line.starts_with(&format!("{other}.")) || line.starts_with(&format!("{other} ")))
            {
                faults.push(format!("{shown}: the stage {stage} depends on the stage {other}"));
            }
        }
    }
}

fn stage_of(path: &Path) -> Option<&'static str> {
    STAGES.into_iter().find(|stage| path.starts_with(Path::new("crates").join(stage)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        check_file(Path::new(path), text, &mut faults);
        faults
    }

    #[test]
    fn each_rule_finds_its_fault() {
        assert_eq!(faults("crates/train/src/lib.rs", "//! Fine.\n"), Vec::<String>::new());
        assert_eq!(faults("crates/train/src/lib.rs", &"\n".repeat(MAX_LINES + 1)).len(), 1);
        assert_eq!(faults("crates/train/src/lib.rs", concat!("// TO", "DO\n")).len(), 1);
        assert_eq!(faults("crates/train/Cargo.toml", "evaluate.workspace = true\n").len(), 1);
        assert_eq!(faults("tests/Cargo.toml", "evaluate.workspace = true\n").len(), 0);
    }
}
