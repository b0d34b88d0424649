//! The common part of all stage programs: arguments, the decision to run or skip, locks and manifests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::atomic::DirWriter;
use crate::config::{self, Override, Sections};
use crate::hash::Hash;
use crate::manifest::{Code, Manifest};
use crate::{Error, RunDir, Split, atomic, command, interrupt, names, progress, run_toml};

pub use crate::failure::{Failure, exit, finish, print_json, print_text};
pub use crate::program::run_program;
pub use crate::run_lock::lock;
pub use crate::staleness::{KeyChange, Output, Stale, config_changes, to_json};

/// Arguments of every stage program.
#[derive(Clone, Debug, clap::Args)]
pub struct StageArgs {
    /// The run's folder [default: the latest under `runs`]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// A pipeline file with this stage's section; docs/configuration.md and --keys list its keys [default: the run's
    /// run.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override one key, e.g. --set train.epochs=2 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the keys of this stage's section with their types, defaults, ranges and examples, then exit
    #[arg(long)]
    pub keys: bool,
    /// Print the keys and the JSON schema of this stage's section as one line of JSON, then exit
    #[arg(long, hide = true)]
    pub schema: bool,
    /// Run even if the result is up to date
    #[arg(long)]
    pub force: bool,
    /// Print whether the stage would run and why, and its resolved configuration, as one line of JSON, then exit
    #[arg(long)]
    pub plan: bool,
    /// At the end, print the folders of the result and their summaries as one line of JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Neither read nor write the run's run.toml, for a folder that is not a run of its own
    #[arg(long, hide = true)]
    pub no_run_toml: bool,
}

/// A stage of the pipeline.
pub trait Stage {
    /// The stage's section in a pipeline file and its folder in a run.
    const NAME: &'static str;
    /// The version of the stage's results.
    ///
    /// Raise it by one, in the same commit, when a change of code gives other results for the same inputs and
    /// configuration. Artifacts of the previous version are then stale and made again; replaced training runs are kept
    /// as backups. Do not raise it for changes of speed, messages or last bits (compilers, build options and processors
    /// change these too), nor for a new key whose default gives the previous result. `tests/tests/stage_versions.rs`
    /// fails when results change.
    const VERSION: u32;
    /// The stage's configuration, with documented defaults.
    type Config: Serialize + DeserializeOwned + Default + JsonSchema;

    /// Checks conditions that types cannot express, such as a share above one.
    fn validate(_config: &Self::Config) -> Result<(), Failure> {
        Ok(())
    }

    /// Checks paths outside the run that the configuration names. An earlier stage may still have to make paths inside
    /// the run; [`Stage::inputs`] checks these.
    fn check_paths(_run: &RunDir, _config: &Self::Config) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns the splits of the result, with their numbers of images where these are known. Returns `None` if the
    /// stage makes no splits, or if they are unknown before it runs.
    fn splits(_config: &Self::Config) -> Option<BTreeMap<Split, Option<u64>>> {
        None
    }

    /// Computes the digest of each input of the stage, by name. Fails with [`Error::Missing`] if an earlier stage has
    /// not run.
    fn inputs(run: &RunDir, config: &Self::Config) -> Result<BTreeMap<String, Hash>, Failure>;

    /// Returns messages about the cost of running the stage: downloads, disk space, time. Called only if the stage
    /// would run.
    fn notices(_run: &RunDir, _config: &Self::Config) -> Vec<String> {
        Vec::new()
    }

    /// Returns the reasons why the stage cannot run now although its configuration is valid, such as weights that cannot be
    /// downloaded. Called only if the stage would run. An input that is missing is reported by [`Stage::inputs`].
    fn obstacles(_run: &RunDir, _config: &Self::Config) -> Vec<String> {
        Vec::new()
    }

    /// Returns messages about results on disk that the stage would replace, back up or leave out. They are printed
    /// before anything starts. `inputs` is `None` if the stage cannot read its inputs yet.
    fn warnings(
        _run: &RunDir,
        _config: &Self::Config,
        _inputs: Option<&BTreeMap<String, Hash>>,
        _force: bool,
    ) -> Result<Vec<Warning>, Failure> {
        Ok(Vec::new())
    }

    /// The artifacts the stage makes. The stage is skipped if all of them are up to date.
    fn outputs(run: &RunDir, config: &Self::Config) -> Vec<Output> {
        vec![Output { dir: run.stage(Self::NAME), config: to_json(config) }]
    }

    /// Adds keys that did not exist when a manifest recorded `config`, with their defaults. The result has the form of
    /// [`Output::config`].
    ///
    /// # Errors
    /// The current type cannot hold a recorded value.
    fn upgrade_config(config: &Value) -> serde_json::Result<Value> {
        serde_json::from_value::<Self::Config>(config.clone()).map(|config| to_json(&config))
    }

    /// Does the work and publishes the outputs.
    fn run(job: &Job<Self::Config>) -> Result<(), Failure>;
}

/// One execution of a stage.
#[derive(Debug)]
pub struct Job<C> {
    stage: &'static str,
    /// The run that the stage works in.
    pub run: RunDir,
    /// The resolved configuration.
    pub config: C,
    /// Digests of the inputs.
    pub inputs: BTreeMap<String, Hash>,
    /// The running program and the version of the stage.
    pub code: Code,
    /// Run even if the artifact is up to date (`--force`).
    pub force: bool,
    start: Instant,
}

impl<C: Serialize> Job<C> {
    /// Writes the manifest into the temporary folder of `writer`, and publishes the folder.
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

/// The planned action of a stage, as `--plan` prints it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StagePlan {
    /// The stage.
    pub stage: String,
    /// Whether it would run.
    pub run: bool,
    /// Why it would run or be skipped.
    pub reason: String,
    /// The configuration with all defaults filled in.
    pub config: Value,
    /// See [`Stage::notices`].
    pub notices: Vec<String>,
    /// See [`Stage::obstacles`].
    pub obstacles: Vec<String>,
    /// See [`Stage::warnings`].
    pub warnings: Vec<Warning>,
    /// See [`Stage::splits`].
    pub splits: Option<BTreeMap<Split, Option<u64>>>,
    /// The exit code of the failure to read the inputs, if they cannot be read now. An earlier stage may still make
    /// them.
    pub input_error: Option<u8>,
}

/// A message about results on disk that a stage would replace, back up or leave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Whether the message applies only if an earlier stage gives other results than before.
    pub only_if_inputs_change: bool,
    /// The message, of one or more lines.
    pub text: String,
}

/// Runs a stage program from its parsed arguments. `options` holds the stage's own options as overrides. Returns the
/// folders of the result; none if the arguments ask only for a text such as the plan.
///
/// # Errors
/// The arguments are not valid, or the stage fails.
pub fn execute<S: Stage>(args: &StageArgs, options: Vec<Override>) -> Result<Vec<PathBuf>, Failure> {
    if args.schema {
        print_json(&Sections::of::<S::Config>(S::NAME))?;
        return Ok(Vec::new());
    }
    if args.keys {
        print_text(&Sections::of::<S::Config>(S::NAME).describe())?;
        return Ok(Vec::new());
    }
    let folders = plan_or_run::<S>(args, options)?;
    if args.json && !args.plan {
        print_json(&results(&folders)?)?;
    }
    Ok(folders)
}

/// Prints the plan of a stage if the arguments ask for it. Otherwise runs the stage unless it is up to date, and returns
/// the folders of its result.
fn plan_or_run<S: Stage>(args: &StageArgs, options: Vec<Override>) -> Result<Vec<PathBuf>, Failure> {
    let start = Instant::now();
    interrupt::exit_on_signals(S::NAME).map_err(Failure::failed)?;
    if !args.plan && S::NAME != names::INGEST {
        check_run(args)?;
    }
    let (run, config) = resolve::<S>(args, options)?;
    let inputs = S::inputs(&run, &config);
    if args.plan {
        return print_json(&plan::<S>(&run, &config, inputs, args.force)?).map(|()| Vec::new());
    }
    let inputs = inputs?;
    let outputs = S::outputs(&run, &config);
    let folders = outputs.iter().map(|output| output.dir.clone()).collect();
    let _lock = match lock(&run, S::NAME) {
        // A run that cannot be written to, such as one on a read-only disk, may be up to date.
        Err(failure) if failure.is_io() => {
            let (runs, reason) = decide::<S>(&outputs, &inputs, args.force)?;
            if runs {
                return Err(failure);
            }
            progress::line(&format!("{}: {reason}", S::NAME));
            return Ok(folders);
        }
        lock => lock?,
    };
    for output in &outputs {
        atomic::recover(&output.dir)?;
    }
    let (runs, reason) = decide::<S>(&outputs, &inputs, args.force)?;
    let warnings = S::warnings(&run, &config, Some(&inputs), args.force)?;
    for warning in warnings.iter().filter(|warning| !warning.only_if_inputs_change) {
        progress::line(&warning.text);
    }
    // `evaluate --name NAME` makes `evaluate-NAME`, which is not the artifact that run.toml describes.
    let makes_stage_folder = outputs.iter().all(|output| output.dir.starts_with(run.stage(S::NAME)));
    if makes_stage_folder && !args.no_run_toml {
        run_toml::record_section(&run, S::NAME, &config, args.config.as_deref())?;
    }
    if !runs {
        progress::line(&format!("{}: {reason}", S::NAME));
        return Ok(folders);
    }
    progress::line(&format!("{}: running, because {reason}", S::NAME));
    S::run(&Job { stage: S::NAME, run, config, inputs, code: Code::current(S::VERSION)?, force: args.force, start })?;
    Ok(folders)
}

/// One folder of results, as `--json` prints it for scripts.
#[derive(Clone, Debug, Serialize)]
pub struct StageResult {
    /// The stage.
    pub stage: String,
    /// The folder of the result, as the arguments name the run.
    pub folder: PathBuf,
    /// The summary in the manifest of the folder.
    pub summary: Value,
}

/// Reads what `--json` prints. Folders that are not complete are left out.
///
/// # Errors
/// A manifest is damaged.
pub fn results(folders: &[PathBuf]) -> Result<Vec<StageResult>, Error> {
    let mut results = Vec::new();
    for folder in folders {
        if let Some(Manifest { stage, summary, .. }) = Manifest::read(folder)? {
            results.push(StageResult { stage, folder: folder.clone(), summary });
        }
    }
    Ok(results)
}

/// Checks that the run that `--run-dir` names exists. Only ingest makes a run.
fn check_run(args: &StageArgs) -> Result<(), Error> {
    match &args.run_dir {
        Some(run) if !run.is_dir() => Err(Error::Missing {
            artifact: "run".to_owned(),
            path: run.clone(),
            advice: format!("check --run-dir, or start a run with `{}`", command::line("pipeline")),
        }),
        _ => Ok(()),
    }
}

fn plan<S: Stage>(
    run: &RunDir,
    config: &S::Config,
    inputs: Result<BTreeMap<String, Hash>, Failure>,
    force: bool,
) -> Result<StagePlan, Failure> {
    let (runs, reason) = match &inputs {
        Ok(inputs) => decide::<S>(&S::outputs(run, config), inputs, force)?,
        Err(failure) => (true, failure.chain()),
    };
    Ok(StagePlan {
        stage: S::NAME.to_owned(),
        run: runs,
        reason,
        config: to_json(config),
        notices: if runs { S::notices(run, config) } else { Vec::new() },
        obstacles: if runs { S::obstacles(run, config) } else { Vec::new() },
        warnings: S::warnings(run, config, inputs.as_ref().ok(), force)?,
        splits: S::splits(config),
        input_error: inputs.err().map(|failure| failure.code()),
    })
}

/// Returns the run that the arguments select, and the stage's configuration in this run.
///
/// # Errors
/// There is no run, or the configuration is not valid.
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
    let run_toml = || Some(run.config()).filter(|path| path.exists() && !args.no_run_toml);
    let file = args.config.clone().or_else(run_toml);
    let config: S::Config = config::load(file.as_deref(), S::NAME, &overrides).map_err(Error::from)?;
    S::validate(&config)?;
    S::check_paths(&run, &config)?;
    Ok((run, config))
}

/// Returns whether to run the stage, and why.
fn decide<S: Stage>(outputs: &[Output], inputs: &BTreeMap<String, Hash>, force: bool) -> Result<(bool, String), Error> {
    let changes = |recorded: &Value, current: &Value| config_changes::<S::Config>(recorded, current, S::upgrade_config);
    for output in outputs {
        if let Some(stale) = output.stale(inputs, S::VERSION, changes)? {
            return Ok((true, stale.to_string()));
        }
    }
    Ok(if force {
        (true, "--force was given; nothing has changed".to_owned())
    } else {
        (false, "up to date: same configuration, inputs and stage version (--force runs it again)".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    struct NoKeys {}

    struct Empty;

    impl Stage for Empty {
        const NAME: &'static str = names::REPORT;
        const VERSION: u32 = 1;
        type Config = NoKeys;

        fn inputs(_: &RunDir, _: &NoKeys) -> Result<BTreeMap<String, Hash>, Failure> {
            Ok(BTreeMap::new())
        }

        fn run(job: &Job<NoKeys>) -> Result<(), Failure> {
            Ok(job.publish(DirWriter::create(&job.run.report())?, "cpu", Value::Null)?)
        }
    }

    fn execute_in(run: &Path, force: bool) -> Result<(), Failure> {
        let run_dir = Some(run.to_owned());
        execute::<Empty>(
            &StageArgs {
                run_dir,
                config: None,
                set: Vec::new(),
                force,
                keys: false,
                schema: false,
                plan: false,
                json: false,
                no_run_toml: false,
            },
            Vec::new(),
        )
        .map(drop)
    }

    #[test]
    fn names_a_run_that_does_not_exist() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("nope");
        let failure = execute_in(&run, false).unwrap_err();
        assert_eq!(failure.code(), exit::INPUT);
        assert!(failure.to_string().contains("nope"), "{failure}");
        assert!(!run.exists());
    }

    #[test]
    fn finds_a_run_up_to_date_that_cannot_be_locked() {
        let root = tempfile::tempdir().unwrap();
        execute_in(root.path(), false).unwrap();
        // A folder in place of the lock file cannot be opened for writing, as on a read-only disk.
        let lock = root.path().join(".report.lock");
        std::fs::remove_file(&lock).unwrap();
        std::fs::create_dir(&lock).unwrap();
        execute_in(root.path(), false).unwrap();
        assert!(execute_in(root.path(), true).unwrap_err().is_io());
    }
}
