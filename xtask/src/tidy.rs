//! House rules that no compiler checks: file length, forbidden words, dependencies that point one way, none on CUDA
//! without the feature, and one build of each dependency for programs and tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::names::STAGES;
use artifacts::stage::Failure;

use crate::programs::{self, cargo, root};

/// A file longer than this holds more than one thing.
const MAX_LINES: usize = 500;

/// The edges along which a build of programs and tests compiles crates.
const WITH_TESTS: &str = "normal,build,dev";

pub(crate) fn run() -> Result<(), Failure> {
    let mut faults = Vec::new();
    for path in tracked_files()? {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        check_file(&path, &text, &mut faults);
    }
    let tests = tree(WITH_TESTS, &[])?;
    check_tree(&tests, &mut faults);
    check_shared(&tree("normal,build", &[])?, &tests, &mut faults);
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

/// All crates that are compiled along `edges`, with their features: one a line.
fn tree(edges: &str, options: &[&str]) -> Result<String, Failure> {
    let mut tree =
        cargo(&["tree", "--quiet", "--workspace", "--prefix", "none", "--no-dedupe", "--format", "{p} [{f}]"]);
    let output = programs::capture(tree.args(["--edges", edges]).args(options))?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Tests turn on no feature of a crate that the programs are built without: it would be compiled twice, and all that
/// depends on it.
fn check_shared(programs: &str, tests: &str, faults: &mut Vec<String>) {
    let tests: BTreeSet<&str> = tests.lines().collect();
    for line in programs.lines().collect::<BTreeSet<_>>().difference(&tests) {
        faults
            .push(format!("tests/Cargo.toml: tests build `{line}` with other features; name there what turns them on"));
    }
}

/// A build without the feature `cuda` compiles nothing that is for CUDA alone.
fn check_tree(tree: &str, faults: &mut Vec<String>) {
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    for name in names.into_iter().filter(|name| name.contains("cuda") || *name == "candle-kernels") {
        faults.push(format!("Cargo.toml: the crate {name} is compiled without the feature cuda"));
    }
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
    // No stage imports another.
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

    #[test]
    fn a_crate_for_cuda_is_found_where_it_is_compiled() {
        let found = |tree: &str| {
            let mut faults = Vec::new();
            check_tree(tree, &mut faults);
            faults
        };
        assert_eq!(found(&tree(WITH_TESTS, &[]).unwrap()), Vec::<String>::new());
        // With the feature the same question finds it, so that it cannot be silent for want of an answer.
        assert!(found(&tree(WITH_TESTS, &["--features", "model/cuda"]).unwrap())[0].contains("cudarc"));
        assert_eq!(found("candle-kernels v0.11.1\nmodel v0.1.0 (/x)\ncandle-kernels v0.11.1\n").len(), 1);
    }

    #[test]
    fn a_crate_that_is_built_twice_is_found() {
        let found = |programs: &str| {
            let mut faults = Vec::new();
            check_shared(programs, "rand v0.10.4 [std]\nproptest v1.12.0 [std]\n", &mut faults);
            faults
        };
        assert_eq!(found("rand v0.10.4 [std]\n"), Vec::<String>::new());
        assert!(found("rand v0.10.4 []\n")[0].contains("rand v0.10.4 []"));
    }
}
