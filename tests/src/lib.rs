//! Support for the tests that cross stages: whole pipelines in temporary folders.

pub mod golden;
pub mod untrained;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use artifacts::{Manifest, RunDir};
use serde_json::Value;
use tempfile::TempDir;

/// A pipeline of seconds: few simulated images, and the smallest ResNet.
pub const TINY: &str = "
[ingest]
source = 'simulated:train=48,test=24,size=32,seed=3'
size = 32
val_fraction = 0.25

[model]
branches = ['resnet18']

[train]
weights = 'none'
epochs = 2
batch = 8

[evaluate]
resamples = 50
examples = 2
";

/// A temporary folder with a pipeline file and the runs of one test.
pub struct Sandbox {
    dir: TempDir,
}

/// The exit code and the output of a finished program.
pub struct ProgramOutput {
    /// The exit code; `None` if a signal ended the program.
    pub code: Option<i32>,
    /// The text on standard output.
    pub stdout: String,
    /// The text on standard error.
    pub stderr: String,
}

impl Sandbox {
    /// Creates a folder with the [`TINY`] pipeline.
    pub fn new() -> Sandbox {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let sandbox = Sandbox { dir };
        sandbox.write_pipeline(TINY);
        sandbox
    }

    /// Replaces the pipeline file.
    pub fn write_pipeline(&self, text: &str) {
        std::fs::write(self.pipeline(), text).expect("the pipeline file is writable");
    }

    /// Returns the path of the pipeline file.
    pub fn pipeline(&self) -> PathBuf {
        self.path().join("tiny.toml")
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the run folder with this name.
    pub fn run(&self, name: &str) -> RunDir {
        RunDir::new(self.path().join(name))
    }

    /// Runs `cargo xtask pipeline` with the pipeline file, into `run`, with the arguments `rest`.
    pub fn pipeline_into(&self, run: &RunDir, rest: &[&str]) -> ProgramOutput {
        let mut command = program("xtask");
        command.arg("pipeline").arg(self.pipeline()).arg("--run-dir").arg(run.path()).args(rest);
        output_of(&mut command)
    }

    /// Returns the command of a stage program with the pipeline file, on `run`.
    pub fn stage(&self, stage: &str, run: &RunDir) -> Command {
        let mut command = program(&format!("candling-{stage}"));
        command.arg("--run-dir").arg(run.path()).arg("--config").arg(self.pipeline());
        command
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Sandbox::new()
    }
}

impl ProgramOutput {
    /// Fails the test, and shows the program's output, unless the exit code is `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> ProgramOutput {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs a command and waits for its end.
pub fn output_of(command: &mut Command) -> ProgramOutput {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    ProgramOutput { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Returns the command of a program of this workspace. The first call in a process builds the programs if they are not
/// up to date.
pub fn program(name: &str) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        // Use the profile of the tests, so that programs and tests share one build of each dependency.
        build.current_dir(root).args(["build", "--quiet", "--release", "--workspace", "--bins"]);
        if cfg!(feature = "mpi") {
            build.args(["--features", "train/mpi,pipeline-tests/mpi"]);
        }
        // Cargo sets these variables for a test. Build scripts would run again because of them, see
        // `xtask/src/programs.rs`.
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
    let mut command = Command::new(folder.join(name));
    if cfg!(feature = "mpi") {
        // Otherwise xtask would build the programs without MPI.
        command.env("CANDLING_MPI", "1");
    }
    command
}

/// Returns the manifest of a folder, or `None` if the folder is not complete.
///
/// # Panics
/// The manifest is damaged, or an output is missing or differs from its digest.
pub fn verified_manifest(dir: &Path) -> Option<Manifest> {
    Manifest::read_verified(dir).expect("the manifest is readable, and every output matches it")
}

/// Returns the manifest of a folder.
///
/// # Panics
/// The folder is not complete, or does not match the digests of its manifest.
pub fn complete_manifest(dir: &Path) -> Manifest {
    verified_manifest(dir).unwrap_or_else(|| panic!("`{}` is not complete", dir.display()))
}

/// Reads a JSON file.
pub fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()))
}
