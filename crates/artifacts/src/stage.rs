//! What all stage programs have in common: arguments, the decision to run or skip, locks, manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::atomic::DirWriter;
use crate::config::{self, Override};
use crate::hash::Hash;
use crate::manifest::{Code, Manifest};
use crate::{Error, RunDir, Split, atomic, names, progress};

pub use crate::failure::{Failure, exit, finish, print_json};

/// Arguments of every stage program.
#[derive(Clone, Debug, clap::Args)]
pub struct StageArgs {
    /// The run's folder [default: the latest under `runs`]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// The pipeline file with this stage's section [default: the run's own run.toml, if it has one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override one key, e.g. --set train.epochs=2 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Run even when nothing has changed
    #[arg(long)]
    pub force: bool,
    /// Print as one line of JSON whether the stage would run and why, with its resolved configuration, and stop
    #[arg(long)]
    pub plan: bool,
}

/// A stage of the pipeline.
pub trait Stage {
    /// Its name: the section in a pipeline file and the folder in a run.
    const NAME: &'static str;
    /// Its configuration, with documented defaults.
    type Config: Serialize + DeserializeOwned + Default;

    /// Checks what types cannot express, such as a share above one.
    fn validate(_config: &Self::Config) -> Result<(), Failure> {
        Ok(())
    }

    /// Checks what the configuration says of the run's surroundings, such as paths outside it. What lies inside the run may
    /// have yet to be made by an earlier stage, and is asked for when this one runs.
    fn check_paths(_run: &RunDir, _config: &Self::Config) -> Result<(), Failure> {
        Ok(())
    }

    /// The splits that the result will have, where the stage makes splits and can tell beforehand; with the number of images,
    /// where that is known.
    fn splits(_config: &Self::Config) -> Option<BTreeMap<Split, Option<u64>>> {
        None
    }

    /// Digests of everything the stage reads, by name. [`Error::Missing`] if an earlier stage has not run.
    fn inputs(run: &RunDir, config: &Self::Config) -> Result<BTreeMap<String, Hash>, Failure>;

    /// What the user should know before the stage starts: what it will download, and how much disk and time it needs.
    /// Asked only when the stage would run.
    fn notices(_run: &RunDir, _config: &Self::Config) -> Vec<String> {
        Vec::new()
    }

    /// The artifacts the stage makes. All must be up to date for the stage to be skipped.
    fn outputs(run: &RunDir, config: &Self::Config) -> Vec<Output> {
        vec![Output { dir: run.stage(Self::NAME), config: to_json(config) }]
    }

    /// Does the work and publishes the outputs.
    fn run(job: &Job<Self::Config>) -> Result<(), Failure>;
}

/// One artifact of a stage, and the configuration that its manifest records.
#[derive(Clone, Debug)]
pub struct Output {
    /// The artifact's folder.
    pub dir: PathBuf,
    /// What its manifest holds as `config` when it is up to date.
    pub config: Value,
}

impl Output {
    /// Why the artifact must be made again, if it must.
    pub fn stale(&self, inputs: &BTreeMap<String, Hash>, code: &Code) -> Result<Option<String>, Error> {
        let manifest = match Manifest::read(&self.dir) {
            // What a damaged disk or an editor left: the artifact is made again.
            Err(error @ Error::Malformed { .. }) => return Ok(Some(error.to_string())),
            read => read?,
        };
        let Some(manifest) = manifest else {
            let name = self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(Some(format!("there is no complete `{name}` yet")));
        };
        if manifest.config != self.config {
            return Ok(Some(format!("its configuration changed ({})", changed_keys(&manifest.config, &self.config))));
        }
        if let Some(name) = changed_input(&manifest.inputs, inputs) {
            return Ok(Some(format!("its input `{name}` changed")));
        }
        if manifest.code != *code {
            return Ok(Some("its code changed".to_owned()));
        }
        Ok(manifest.find_missing(&self.dir).map(|detail| format!("its output is damaged: {detail}")))
    }
}

/// What a stage works on.
#[derive(Debug)]
pub struct Job<C> {
    stage: &'static str,
    /// The run it works in.
    pub run: RunDir,
    /// Its resolved configuration.
    pub config: C,
    /// Digests of what it reads.
    pub inputs: BTreeMap<String, Hash>,
    /// The program.
    pub code: Code,
    /// Whether the user asked for work that an up-to-date check would skip.
    pub force: bool,
    start: Instant,
}

impl<C: Serialize> Job<C> {
    /// Completes a folder that was filled under its temporary name, and makes it appear.
    pub fn publish(&self, writer: DirWriter, device: &str, summary: Value) -> Result<(), Error> {
        let manifest = Manifest {
            config: to_json(&self.config),
            inputs: self.inputs.clone(),
            seconds: self.start.elapsed().as_secs_f64(),
            device: device.to_owned(),
            summary,
            ..Manifest::of(writer.path(), self.stage, self.code.clone())?
        };
        manifest.write(writer.path())?;
        writer.publish()
    }
}

/// Whether a stage would run, as `--plan` prints it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The stage.
    pub stage: String,
    /// Whether it would run.
    pub run: bool,
    /// Why, or why not.
    pub reason: String,
    /// Its configuration with all defaults filled in.
    pub config: Value,
    /// What to know before it starts, see [`Stage::notices`].
    pub notices: Vec<String>,
    /// See [`Stage::splits`].
    pub splits: Option<BTreeMap<Split, Option<u64>>>,
    /// The exit code that it would end with as things are, because it cannot read its inputs; an earlier stage may have yet
    /// to make them.
    pub lacks: Option<u8>,
}

/// Runs a stage program from its parsed arguments; `options` are the stage's own options as overrides.
pub fn main<S: Stage>(args: &StageArgs, options: Vec<Override>) -> ExitCode {
    finish(S::NAME, execute::<S>(args, options))
}

fn execute<S: Stage>(args: &StageArgs, options: Vec<Override>) -> Result<(), Failure> {
    let start = Instant::now();
    let (run, config) = resolve::<S>(args, options)?;
    let code = Code::current()?;
    let inputs = S::inputs(&run, &config);
    if args.plan {
        let (stale, reason) = match &inputs {
            Ok(inputs) => decide(&S::outputs(&run, &config), inputs, &code, args.force)?,
            Err(failure) => (true, failure.chain()),
        };
        let notices = if stale { S::notices(&run, &config) } else { Vec::new() };
        return print_json(&Plan {
            stage: S::NAME.to_owned(),
            run: stale,
            reason,
            config: to_json(&config),
            notices,
            splits: S::splits(&config),
            lacks: inputs.err().map(|failure| failure.code()),
        });
    }
    let inputs = inputs?;
    let _lock = lock(&run, S::NAME)?;
    let outputs = S::outputs(&run, &config);
    for output in &outputs {
        atomic::recover(&output.dir)?;
    }
    let (stale, reason) = decide(&outputs, &inputs, &code, args.force)?;
    if !stale {
        progress::line(&format!("{}: {reason}", S::NAME));
        return Ok(());
    }
    // What was made before is about to be replaced, perhaps by hours of work: the user should know why.
    progress::line(&format!("{}: running, because {reason}", S::NAME));
    S::run(&Job { stage: S::NAME, run, config, inputs, code, force: args.force, start })
}

/// The run that the arguments mean, and the stage's configuration there.
///
/// # Errors
/// There is no run, and everything that a configuration can have wrong.
pub fn resolve<S: Stage>(args: &StageArgs, options: Vec<Override>) -> Result<(RunDir, S::Config), Failure> {
    let run = match &args.run_dir {
        Some(dir) => RunDir::new(dir),
        None => {
            let run = RunDir::latest(Path::new(names::RUNS))?;
            progress::line(&format!("{}: in `{}`, the latest run", S::NAME, run.path().display()));
            run
        }
    };
    let mut overrides =
        args.set.iter().map(|set| Override::parse(set)).collect::<Result<Vec<_>, _>>().map_err(Error::from)?;
    overrides.extend(options);
    let file = args.config.clone().or_else(|| Some(run.config()).filter(|path| path.exists()));
    let config: S::Config = config::load(file.as_deref(), S::NAME, &overrides).map_err(Error::from)?;
    S::validate(&config)?;
    S::check_paths(&run, &config)?;
    Ok((run, config))
}

/// Keeps a second process from the same work (a stage, or the pipeline of all) in the same run. The system lifts the lock
/// when the process ends, however it ends.
pub fn lock(run: &RunDir, work: &str) -> Result<File, Failure> {
    atomic::try_lock(&run.path().join(format!(".{work}.lock")))?.ok_or_else(|| {
        Failure::failed(format!(
            "another process is running {work} in `{}`; wait for it, or use another --run-dir",
            run.path().display()
        ))
    })
}

/// Compares the manifests there are with what a run now would write.
fn decide(
    outputs: &[Output],
    inputs: &BTreeMap<String, Hash>,
    code: &Code,
    force: bool,
) -> Result<(bool, String), Error> {
    for output in outputs {
        if let Some(reason) = output.stale(inputs, code)? {
            return Ok((true, reason));
        }
    }
    Ok(if force {
        (true, "--force was given; nothing has changed".to_owned())
    } else {
        (false, "up to date: same configuration, inputs and code (--force runs it again)".to_owned())
    })
}

fn changed_keys(old: &Value, new: &Value) -> String {
    let empty = serde_json::Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changes: Vec<String> = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) => format!("{key}: {old} -> {new}"),
            (None, Some(new)) => format!("{key}: {new} is new"),
            (_, None) => format!("{key} is gone"),
        })
        .collect();
    changes.join(", ")
}

fn changed_input<'a>(old: &'a BTreeMap<String, Hash>, new: &'a BTreeMap<String, Hash>) -> Option<&'a str> {
    old.keys().chain(new.keys()).find(|name| old.get(*name) != new.get(*name)).map(String::as_str)
}

/// A configuration as JSON, the form that manifests hold.
pub fn to_json(config: &impl Serialize) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::fs;

    use super::*;

    fn code() -> Code {
        Code { version: "1".to_owned(), executable: Hash::of(b"program") }
    }

    fn complete(dir: &Path, config: Value, inputs: &BTreeMap<String, Hash>) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("data"), "content").unwrap();
        let manifest = Manifest::of(dir, "train", code()).unwrap();
        Manifest { config, inputs: inputs.clone(), ..manifest }.write(dir).unwrap();
    }

    #[test]
    fn a_stage_is_skipped_only_when_nothing_changed() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("train");
        let inputs = BTreeMap::from([("ingest".to_owned(), Hash::of(b"shards"))]);
        let output = |epochs| Output { dir: dir.clone(), config: json!({ "epochs": epochs }) };
        let reason = |epochs, inputs: &BTreeMap<_, _>, code: &Code| output(epochs).stale(inputs, code).unwrap();

        assert!(reason(1, &inputs, &code()).unwrap().contains("no complete"));
        complete(&dir, json!({ "epochs": 1 }), &inputs);
        assert_eq!(reason(1, &inputs, &code()), None);
        assert!(reason(2, &inputs, &code()).unwrap().contains("epochs: 1 -> 2"));

        let other = BTreeMap::from([("ingest".to_owned(), Hash::of(b"others"))]);
        assert!(reason(1, &other, &code()).unwrap().contains("`ingest` changed"));
        let newer = Code { executable: Hash::of(b"newer"), ..code() };
        assert!(reason(1, &inputs, &newer).unwrap().contains("code"));

        fs::write(dir.join("manifest.json"), "").unwrap();
        assert!(reason(1, &inputs, &code()).unwrap().contains("manifest"));
        complete(&dir, json!({ "epochs": 1 }), &inputs);

        fs::write(dir.join("data"), "cut").unwrap();
        assert!(reason(1, &inputs, &code()).unwrap().contains("damaged"));
        fs::remove_file(dir.join("data")).unwrap();
        assert!(reason(1, &inputs, &code()).unwrap().contains("missing"));
    }

    #[test]
    fn equal_results_have_equal_digests_and_damage_is_found() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (root.path().join("a"), root.path().join("b"));
        complete(&a, json!({}), &BTreeMap::new());
        complete(&b, json!({ "other": 1 }), &BTreeMap::new());
        let read = |dir: &Path| Manifest::require(dir, "train").unwrap();
        assert_eq!(read(&a).outputs_digest(), read(&b).outputs_digest());
        assert_eq!(Manifest::read_verified(&a).unwrap().unwrap().outputs_digest(), read(&b).outputs_digest());
        fs::write(a.join("data"), "CONTENT").unwrap();
        assert!(matches!(read(&a).verify(&a, "data"), Err(Error::Damaged { .. })));
        assert!(matches!(Manifest::read_verified(&a), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_stage_of_a_run_is_locked_while_it_runs() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path());
        let held = lock(&run, "train").unwrap();
        assert!(lock(&run, "train").unwrap_err().to_string().contains("another process is running train"));
        lock(&run, "report").unwrap();
        drop(held);
        lock(&run, "train").unwrap();
    }

    #[test]
    fn a_newer_manifest_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("manifest.json"), r#"{"schema_version": 99, "unknown": 1}"#).unwrap();
        assert!(matches!(Manifest::read(root.path()), Err(Error::SchemaVersion { found: 99, .. })));
    }
}
