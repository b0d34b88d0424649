//! `cargo xtask tidy`: checks the project's rules that neither the compiler nor clippy checks.
//!
//! - Files are short and contain no forbidden words.
//! - Files of a crate do not import each other in a cycle.
//! - The integration tests of a crate are one program that contains every file.
//! - No stage depends on another stage.
//! - Nothing depends on CUDA without the feature `cuda`.
//! - Programs and tests share one build of each dependency.

mod import_cycles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::names::STAGES;
use artifacts::stage::Failure;
use orchestrator::process;

use self::import_cycles::Imports;
use crate::programs::{cargo, root};

/// The most lines that a source file may have.
const MAX_LINES: usize = 500;

/// The dependency edges of a build of programs and tests.
const WITH_TESTS: &str = "normal,build,dev";

pub(crate) fn run() -> Result<(), Failure> {
    let mut violations = Vec::new();
    let mut crates: BTreeMap<PathBuf, Imports> = BTreeMap::new();
    let files = tracked_files()?;
    for path in &files {
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        check_file(path, &text, &mut violations);
        if let Some((src, file)) = source_file(path) {
            crates.entry(src).or_default().add(&file, &text);
        }
    }
    for (src, imports) in crates {
        for cycle in imports.cycles() {
            violations.push(format!("{}: these files import each other in a cycle: {cycle}", src.display()));
        }
    }
    check_integration_tests(&files, |path| fs::read_to_string(root().join(path)).unwrap_or_default(), &mut violations);
    let tests = tree(WITH_TESTS, &[])?;
    check_no_cuda(&tests, &mut violations);
    check_same_features(&tree("normal,build", &[])?, &tests, &mut violations);
    if violations.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("house rules:\n  {}", violations.join("\n  "))))
}

/// Returns the paths of all files that git tracks, relative to the root of the workspace.
fn tracked_files() -> Result<Vec<PathBuf>, Failure> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z"]).current_dir(root());
    let output = list.output().map_err(|e| Failure::failed(format!("failed to run git: {e}")))?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// Lists the crates that are compiled along `edges` with their features, one per line.
fn tree(edges: &str, options: &[&str]) -> Result<String, Failure> {
    let mut tree = cargo(&["tree", "--quiet", "--workspace", "--prefix", "none", "--format", "{p} [{f}]"]);
    let output = process::capture(tree.args(["--edges", edges]).args(options))?;
    // Cargo marks a crate whose dependencies it has listed before. Without that, there would be millions of lines.
    Ok(String::from_utf8_lossy(&output).replace(" (*)", ""))
}

/// Checks that the files in a folder `tests` are one file or the modules of `tests/main.rs`. Each program takes time to link
/// and space on the disk, and a file that no program contains would never run.
fn check_integration_tests(files: &[PathBuf], read: impl Fn(&Path) -> String, violations: &mut Vec<String>) {
    let mut folders: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let in_src = file.iter().any(|part| part == "src");
        if let Some(folder) = file.parent().filter(|folder| folder.ends_with("tests") && !in_src) {
            folders.entry(folder).or_default().push(file);
        }
    }
    for (folder, files) in folders.into_iter().filter(|(_, files)| files.len() > 1) {
        let main = read(&folder.join("main.rs"));
        for file in files.into_iter().filter(|file| !file.ends_with("main.rs")) {
            let module = format!("mod {};", file.file_stem().unwrap_or_default().to_string_lossy());
            if !main.lines().any(|line| line == module) {
                violations.push(format!("{}: add `{module}` to main.rs, or the tests do not run", file.display()));
            }
        }
    }
}

/// Checks that tests enable no feature that the programs are built without. Otherwise, the crate with that feature and
/// its dependants would be compiled twice.
fn check_same_features(programs: &str, tests: &str, violations: &mut Vec<String>) {
    let tests: BTreeSet<&str> = tests.lines().collect();
    for line in programs.lines().collect::<BTreeSet<_>>().difference(&tests) {
        violations.push(format!(
            "tests/Cargo.toml: tests build `{line}` with other features; add the dependency that enables them"
        ));
    }
}

/// Checks that a build without the feature `cuda` compiles no crate for CUDA.
fn check_no_cuda(tree: &str, violations: &mut Vec<String>) {
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    for name in names.into_iter().filter(|name| name.contains("cuda") || *name == "candle-kernels") {
        violations.push(format!("Cargo.toml: the crate {name} is compiled without the feature cuda"));
    }
}

/// Checks the rules for a single file: its length, forbidden words, and dependencies between stages.
fn check_file(path: &Path, text: &str, violations: &mut Vec<String>) {
    let shown = path.display();
    if path.extension().is_some_and(|extension| extension == "rs" || extension == "cu") {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            violations.push(format!("{shown}: {lines} lines, more than {MAX_LINES}; split it by purpose"));
        }
    }
    // The words are written in two parts, so that this file does not contain them.
    for word in [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X"), concat!("#[ig", "nore")] {
        if text.contains(word) && path.extension().is_some_and(|extension| extension == "rs") {
            violations.push(format!("{shown}: contains `{word}`; finish the work or file an issue"));
        }
    }
    if let Some(stage) = stage_of(path)
        && path.ends_with("Cargo.toml")
    {
        for other in STAGES.into_iter().filter(|other| *other != stage) {
            if text.lines().any(|line| line.starts_with(&format!("{other}.")) || line.starts_with(&format!("{other} ")))
            {
                violations.push(format!("{shown}: the stage {stage} depends on the stage {other}"));
            }
        }
    }
}

/// Splits the path of a source file into the folder `src` of its crate and the path within that folder. Returns `None`
/// for programs in `src/bin` and for test modules, which are recognised by `test` in their path.
fn source_file(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let src = path.ancestors().find(|folder| folder.ends_with("src"))?;
    let file = path.strip_prefix(src).ok()?;
    let is_test = file.components().any(|part| part.as_os_str().to_string_lossy().contains("test"));
    let is_module = file.extension().is_some_and(|extension| extension == "rs") && !file.starts_with("bin") && !is_test;
    is_module.then(|| (src.to_owned(), file.to_owned()))
}

/// Returns the stage whose crate contains a file, if any.
fn stage_of(path: &Path) -> Option<&'static str> {
    STAGES.into_iter().find(|stage| path.starts_with(Path::new("crates").join(stage)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        let mut violations = Vec::new();
        check_file(Path::new(path), text, &mut violations);
        violations
    }

    #[test]
    fn reports_violations_in_files() {
        assert_eq!(violations("crates/train/src/lib.rs", "//! Fine.\n"), Vec::<String>::new());
        assert_eq!(violations("crates/train/src/lib.rs", &"\n".repeat(MAX_LINES + 1)).len(), 1);
        assert_eq!(violations("crates/train/src/lib.rs", concat!("// TO", "DO\n")).len(), 1);
        assert_eq!(violations("crates/train/Cargo.toml", "evaluate.workspace = true\n").len(), 1);
        assert_eq!(violations("tests/Cargo.toml", "evaluate.workspace = true\n").len(), 0);
    }

    #[test]
    fn finds_files_of_tests_that_no_program_contains() {
        let files = [
            "a/tests/one.rs",
            "a/src/tests/mod.rs",
            "a/src/tests/two.rs",
            "b/tests/main.rs",
            "b/tests/x.rs",
            "b/tests/y.rs",
            "b/tests/common/mod.rs",
        ];
        let mut violations = Vec::new();
        check_integration_tests(&files.map(PathBuf::from), |_| "mod common;\nmod x;\n".to_owned(), &mut violations);
        assert_eq!(violations, ["b/tests/y.rs: add `mod y;` to main.rs, or the tests do not run"]);
    }

    #[test]
    fn finds_cuda_crates_in_a_build() {
        let found = |tree: &str| {
            let mut violations = Vec::new();
            check_no_cuda(tree, &mut violations);
            violations
        };
        assert_eq!(found(&tree(WITH_TESTS, &[]).unwrap()), Vec::<String>::new());
        // With the feature the check must find one. Otherwise it would pass if `cargo tree` changed its output.
        assert!(found(&tree(WITH_TESTS, &["--features", "model/cuda"]).unwrap())[0].contains("cudarc"));
        assert_eq!(found("candle-kernels v0.11.1\nmodel v0.1.0 (/x)\ncandle-kernels v0.11.1\n").len(), 1);
    }

    #[test]
    fn finds_crates_that_are_built_twice() {
        let found = |programs: &str| {
            let mut violations = Vec::new();
            check_same_features(programs, "rand v0.10.4 [std]\nproptest v1.12.0 [std]\n", &mut violations);
            violations
        };
        assert_eq!(found("rand v0.10.4 [std]\n"), Vec::<String>::new());
        assert!(found("rand v0.10.4 []\n")[0].contains("rand v0.10.4 []"));
    }
}
