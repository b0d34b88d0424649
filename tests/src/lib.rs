//! A bench to run whole pipelines on, for the tests that cross stages.

pub mod golden;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use artifacts::{Manifest, RunDir};
use serde_json::Value;
use tempfile::TempDir;

/// A simulated set and a training so small that a pipeline takes seconds.
pub const TINY: &str = "
[ingest]
source = 'simulated:train=48,test=24,size=32,seed=3'
size = 32
val_fraction = 0.25

[train]
weights = 'none'
epochs = 2
batch = 8

[evaluate]
resamples = 50
examples = 2
";

/// A folder for one test's runs, with a pipeline file in it.
pub struct Bench {
    dir: TempDir,
}

/// What a program did.
pub struct Outcome {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it said on standard output.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

impl Bench {
    /// A bench with the [`TINY`] pipeline.
    pub fn new() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let bench = Bench { dir };
        bench.write_pipeline(TINY);
        bench
    }

    /// Replaces the pipeline file.
    pub fn write_pipeline(&self, text: &str) {
        std::fs::write(self.pipeline(), text).expect("the pipeline file is writable");
    }

    /// The pipeline file.
    pub fn pipeline(&self) -> PathBuf {
        self.path().join("tiny.toml")
    }

    /// The bench's folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A run on this bench.
    pub fn run(&self, name: &str) -> RunDir {
        RunDir::new(self.path().join(name))
    }

    /// `cargo xtask pipeline` with the bench's pipeline into a run.
    pub fn pipeline_into(&self, run: &RunDir, rest: &[&str]) -> Outcome {
        let mut command = program("xtask");
        command.arg("pipeline").arg(self.pipeline()).arg("--run-dir").arg(run.path()).args(rest);
        outcome(&mut command)
    }

    /// A stage program on a run with the bench's pipeline.
    pub fn stage(&self, stage: &str, run: &RunDir) -> Command {
        let mut command = program(&format!("candling-{stage}"));
        command.arg("--run-dir").arg(run.path()).arg("--config").arg(self.pipeline());
        command
    }
}

impl Default for Bench {
    fn default() -> Self {
        Bench::new()
    }
}

impl Outcome {
    /// Fails the test with everything the program said, unless it ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Outcome {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs a command to its end.
pub fn outcome(command: &mut Command) -> Outcome {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// A program of this workspace, built first where it is not up to date.
pub fn program(name: &str) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        // As the tests themselves are built, so that both share one build of each dependency.
        build.current_dir(root).args(["build", "--quiet", "--release", "--workspace", "--bins"]);
        // What cargo says of this test's package would make build scripts run again; see `xtask/src/programs.rs`.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_") || name.to_string_lossy().starts_with("CARGO_MANIFEST_")
            {
                build.env_remove(name);
            }
        }
        assert!(build.status().expect("cargo starts").success(), "the programs do not build");
        let test = std::env::current_exe().expect("this test's program");
        test.parent().and_then(Path::parent).expect("target/release").to_owned()
    });
    Command::new(folder.join(name))
}

/// The manifest of a folder, whose every output must be there with the right content; `None` if it is incomplete.
pub fn sound_manifest(dir: &Path) -> Option<Manifest> {
    Manifest::read_verified(dir).expect("a readable manifest, and every output as it describes it")
}

/// The manifest of a folder that must be complete and sound.
pub fn complete_manifest(dir: &Path) -> Manifest {
    sound_manifest(dir).unwrap_or_else(|| panic!("`{}` is not complete", dir.display()))
}

/// A JSON file.
pub fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()))
}
