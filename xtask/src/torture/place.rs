//! A folder with a small pipeline and its undisturbed run.

use std::collections::BTreeMap;
use std::env::consts::EXE_SUFFIX;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use artifacts::stage::Failure;
use artifacts::{Manifest, OutputFile, RunDir, names};
use tempfile::TempDir;

/// A pipeline that takes seconds.
const PIPELINE: &str = "
[ingest]
source = 'simulated:train=24,test=12,size=32,seed=3'
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

/// The folder of the programs.
const PROGRAMS: &str = "programs";

/// The files whose bytes must not depend on disturbances, by path under the run.
pub(super) type Outcome = BTreeMap<String, OutputFile>;

/// The folder, with a copy of the programs, which runs without cargo. It is deleted at the end.
pub(super) struct Place {
    folder: PathBuf,
    /// The result of the undisturbed run.
    pub(super) expected: Outcome,
    /// The time that the undisturbed run took.
    pub(super) duration: Duration,
    _owned: Option<TempDir>,
}

/// How a pipeline ended.
#[derive(Debug)]
pub(super) struct End {
    /// The exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    /// Its messages.
    pub(super) messages: String,
}

impl Place {
    /// Makes a folder and runs the pipeline undisturbed.
    ///
    /// # Errors
    /// The pipeline fails.
    pub(super) fn prepare() -> Result<Place, Failure> {
        let owned = tempfile::tempdir().map_err(Failure::failed)?;
        let folder = owned.path().to_owned();
        fs::write(folder.join("torture.toml"), PIPELINE).map_err(Failure::failed)?;
        copy_programs(&folder.join(PROGRAMS)).map_err(Failure::failed)?;
        let mut place = Place { folder, expected: Outcome::new(), duration: Duration::ZERO, _owned: Some(owned) };
        let start = Instant::now();
        let end = place.pipeline(&place.whole(), &[])?;
        if end.code != Some(0) {
            return Err(Failure::failed(format!("the undisturbed pipeline failed:\n{}", end.messages)));
        }
        place.duration = start.elapsed();
        place.expected = outcome(&place.whole(), None).map_err(Failure::failed)?;
        Ok(place)
    }

    /// Opens a folder that [`Place::prepare`] made in another process.
    ///
    /// # Errors
    /// The undisturbed run is incomplete.
    pub(super) fn prepared(folder: &Path) -> Result<Place, Failure> {
        let whole = RunDir::new(folder.join("whole"));
        let expected = outcome(&whole, None).map_err(Failure::failed)?;
        Ok(Place { folder: folder.to_owned(), expected, duration: Duration::ZERO, _owned: None })
    }

    /// The folder of everything.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// The undisturbed run.
    pub(super) fn whole(&self) -> RunDir {
        self.run("whole")
    }

    /// A run in the folder.
    pub(super) fn run(&self, name: &str) -> RunDir {
        RunDir::new(self.folder.join(name))
    }

    /// Returns the command of the pipeline into a run. Its messages go to a file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn command(&self, run: &RunDir) -> Result<Command, Failure> {
        let path = self.messages_path();
        // A stage that outlived its xtask may still write to the old file.
        artifacts::atomic::remove_file(&path)?;
        let messages = File::create(path).map_err(Failure::failed)?;
        let mut command = Command::new(self.folder.join(PROGRAMS).join(format!("xtask{EXE_SUFFIX}")));
        command.arg("pipeline").arg(self.folder.join("torture.toml")).arg("--run-dir").arg(run.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages);
        Ok(command)
    }

    /// Runs the pipeline to its end.
    ///
    /// # Errors
    /// The pipeline cannot be started.
    pub(super) fn pipeline(&self, run: &RunDir, options: &[&str]) -> Result<End, Failure> {
        let status = self.command(run)?.args(options).status().map_err(Failure::failed)?;
        Ok(self.end(status))
    }

    /// Describes the end of a command.
    pub(super) fn end(&self, status: ExitStatus) -> End {
        let messages = fs::read(self.messages_path()).unwrap_or_default();
        End { code: status.code(), messages: String::from_utf8_lossy(&messages).into_owned() }
    }

    /// Compares a finished run with the undisturbed one, apart from the content of a damaged file that nothing has read.
    /// Returns what differs.
    pub(super) fn difference(&self, run: &RunDir, damaged: Option<&Path>) -> Option<String> {
        let found = match outcome(run, damaged) {
            Ok(found) => found,
            Err(reason) => return Some(reason),
        };
        let differs = |path: &&String| self.expected.get(*path) != found.get(*path);
        let path = self.expected.keys().chain(found.keys()).find(differs)?;
        Some(format!("`{path}` has another content than without the disturbance"))
    }

    fn messages_path(&self) -> PathBuf {
        self.folder.join("messages")
    }
}

/// The folders of a run that have a manifest when they are complete.
fn artifacts_of(run: &RunDir) -> [(&'static str, PathBuf); 4] {
    [
        (names::INGEST, run.ingest()),
        (names::TRAIN, run.train_run(0)),
        (names::EVALUATE, run.evaluate()),
        (names::REPORT, run.stage(names::REPORT)),
    ]
}

/// Returns the first artifact that is neither complete nor incomplete: its manifest cannot be read, or a file of it is
/// not as the manifest says.
pub(super) fn half_written(run: &RunDir) -> Option<String> {
    artifacts_of(run)
        .into_iter()
        .find_map(|(_, dir)| Manifest::read_verified(&dir).err())
        .map(|error| error.to_string())
}

/// Returns the files of a finished run whose bytes do not depend on the time: not the report and the training log. All
/// files but `damaged` must be as their manifest says.
fn outcome(run: &RunDir, damaged: Option<&Path>) -> Result<Outcome, String> {
    let mut all = Outcome::new();
    for (stage, dir) in artifacts_of(run) {
        let manifest = Manifest::read(&dir).map_err(|error| error.to_string())?;
        let manifest = manifest.ok_or_else(|| format!("{stage} is not complete"))?;
        for path in manifest.outputs.keys().filter(|path| damaged != Some(&dir.join(path))) {
            manifest.verify(&dir, path).map_err(|error| error.to_string())?;
        }
        let is_fixed = |path: &str| match stage {
            names::REPORT => false,
            names::TRAIN => path.ends_with(".safetensors"),
            _ => true,
        };
        let files = manifest.outputs.into_iter().filter(|(path, _)| is_fixed(path));
        all.extend(files.map(|(path, file)| (format!("{stage}/{path}"), file)));
    }
    Ok(all)
}

/// Links or copies the programs beside this one to a folder that looks like a copy for machines without Rust.
fn copy_programs(to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("pipelines"))?;
    let stages = [names::INGEST, names::TRAIN, names::EVALUATE, names::REPORT].map(|stage| format!("candling-{stage}"));
    let here = std::env::current_exe()?;
    for name in std::iter::once("xtask".to_owned()).chain(stages) {
        let file = format!("{name}{EXE_SUFFIX}");
        let (from, to) = (here.with_file_name(&file), to.join(&file));
        // Another file system has no links to this one.
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(from, to)?;
        }
    }
    Ok(())
}
