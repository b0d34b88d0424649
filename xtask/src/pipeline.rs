//! `cargo xtask pipeline`: all stages in order, each skipped when nothing it depends on has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::schema::TrainingRate;
use artifacts::stage::{self, Failure, Plan};
use artifacts::{Label, Manifest, RunDir, Split, atomic, config, names, progress};
use serde_json::Value;

use crate::cli::{PipelineArgs, StageName};
use crate::cuda::Choice;
use crate::{agreement, programs};

/// What `best` and `last` of a ResNet-50 take: two times its weights, and Adam's two moments.
const CHECKPOINTS_GB: f64 = 0.4;

pub(crate) fn run(args: &PipelineArgs, cuda: Choice) -> Result<(), Failure> {
    if args.from > args.until {
        return Err(Failure::usage(format!("--from {} comes after --until {}", args.from.name(), args.until.name())));
    }
    let file = pipeline_file(&args.name)?;
    let run = run_dir(args, &file);
    programs::build(cuda)?;

    // Every section is checked before the first stage starts: a typo in [report] must not cost a night of training.
    let sets = overrides(args);
    let plans = StageName::ALL.map(|stage| plan(stage, &run, &file, &sets));
    let mut plans = plans.into_iter().collect::<Result<Vec<_>, _>>()?;
    // Held to the end: a second pipeline would change the settings of the stages that this one has yet to start.
    let _lock = if args.dry_run { None } else { Some(stage::lock(&run, "pipeline")?) };
    keep_sections(&run, &mut plans, args)?;
    agreement::check(&plans, |stage| is_selected(stage, args))?;
    if decide(&plans, args)[StageName::Train as usize].runs {
        let [ingest, train] = [StageName::Ingest, StageName::Train].map(|stage| plans[stage as usize].config.clone());
        let rate = |size| rate(stage_command(StageName::Train, &run, &file, &sets)?, size);
        plans[StageName::Train as usize].notices.extend(training_time(&ingest, &train, rate)?);
    }
    let decisions = decide(&plans, args);
    if args.dry_run {
        return say(&decisions);
    }
    for notice in decisions.iter().filter(|decision| decision.runs).flat_map(|decision| &decision.plan.notices) {
        progress::line(notice);
    }
    write_run_toml(&run, &plans)?;
    for decision in decisions.iter().filter(|decision| decision.selected) {
        if decision.plan.stage == names::TRAIN {
            agreement::check_splits(&plans, |stage| is_selected(stage, args), &ingested(&run)?)?;
        }
        let mut command = programs::program(&decision.plan.stage)?;
        command.arg("--run-dir").arg(run.path()).arg("--config").arg(run.config());
        if args.force {
            command.arg("--force");
        }
        programs::run(&mut command)?;
    }
    closing_words(&run);
    Ok(())
}

/// The pipeline file of a name, or at a path.
pub(crate) fn pipeline_file(name: &str) -> Result<PathBuf, Failure> {
    if name.ends_with(".toml") {
        return Ok(PathBuf::from(name));
    }
    let pipelines = programs::root().join("pipelines");
    let path = pipelines.join(format!("{name}.toml"));
    if path.exists() {
        return Ok(path);
    }
    let mut known: Vec<String> = fs::read_dir(&pipelines)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    known.sort();
    Err(Failure::usage(format!(
        "there is no pipeline `{name}`; there are {}, or the path of a TOML file",
        known.join(", ")
    )))
}

fn run_dir(args: &PipelineArgs, file: &Path) -> RunDir {
    let default = || Path::new("runs").join(file.file_stem().unwrap_or_default());
    RunDir::new(args.run_dir.clone().unwrap_or_else(default))
}

/// All overrides in the form of `--set`, the short options last so that they win.
fn overrides(args: &PipelineArgs) -> Vec<String> {
    let quoted = |key: &str, value: &str| format!("{key}={}", toml::Value::String(value.to_owned()));
    let short = [
        args.data.as_ref().map(|source| quoted("ingest.source", source)),
        args.weights.as_ref().map(|source| quoted("train.weights", source)),
        args.device.as_ref().map(|device| quoted("train.device", device)),
        args.device.as_ref().map(|device| quoted("evaluate.device", device)),
    ];
    args.set.iter().cloned().chain(short.into_iter().flatten()).collect()
}

/// The program of a stage, before anything is written: with the pipeline file, and what was set beside it.
fn stage_command(stage: StageName, run: &RunDir, file: &Path, sets: &[String]) -> Result<Command, Failure> {
    let mut command = programs::program(stage.name())?;
    command.arg("--run-dir").arg(run.path()).arg("--config").arg(file);
    for set in sets {
        command.arg("--set").arg(set);
    }
    Ok(command)
}

fn plan(stage: StageName, run: &RunDir, file: &Path, sets: &[String]) -> Result<Plan, Failure> {
    let output = programs::capture(stage_command(stage, run, file, sets)?.arg("--plan"))?;
    serde_json::from_slice(&output).map_err(|e| Failure::failed(format!("{} printed no plan: {e}", stage.name())))
}

fn rate(mut train: Command, size: u64) -> Result<TrainingRate, Failure> {
    let output = programs::capture(train.arg("--rate").arg(size.to_string()))?;
    serde_json::from_slice(&output).map_err(|e| Failure::failed(format!("train printed no rate: {e}")))
}

/// How long the training will take, where ingest's configuration says how many images there are.
fn training_time(
    ingest: &Value,
    train: &Value,
    rate: impl FnOnce(u64) -> Result<TrainingRate, Failure>,
) -> Result<Option<String>, Failure> {
    let expected = &ingest["expected"];
    let Some(images) = expected["train"].as_f64() else {
        return Ok(None);
    };
    let for_validation = if expected["val"].is_null() { ingest["val_fraction"].as_f64().unwrap_or(0.0) } else { 0.0 };
    let limit = ingest["limit"].as_f64().map_or(f64::INFINITY, |limit| limit * Label::ALL.len() as f64);
    let images = (images * (1.0 - for_validation)).min(limit);
    let number = |key: &str| train[key].as_f64().unwrap_or(1.0);
    let (epochs, runs) = (number("epochs"), number("runs"));
    let TrainingRate { device, images_per_second } = rate(ingest["size"].as_u64().unwrap_or(224))?;
    let hours = images * epochs * runs / images_per_second.max(1e-9) / 3600.0;
    Ok(Some(format!(
        "{runs} training run(s) of {epochs} epochs on about {images:.0} images: {hours:.1} hours at {images_per_second:.1} \
         images/s, measured just now on {device}, and some more for validation; checkpoints take about {:.1} GB",
        runs * CHECKPOINTS_GB
    )))
}

/// The splits that ingest made.
fn ingested(run: &RunDir) -> Result<BTreeSet<Split>, Failure> {
    let manifest = Manifest::require(&run.ingest(), names::INGEST)?;
    let splits = manifest.summary["splits"].clone();
    let splits: BTreeMap<Split, Value> =
        serde_json::from_value(splits).map_err(|e| artifacts::Error::malformed(&run.ingest(), "ingest artifact", e))?;
    Ok(splits.into_keys().collect())
}

/// Whether --from and --until include a stage.
fn is_selected(stage: StageName, args: &PipelineArgs) -> bool {
    (args.from..=args.until).contains(&stage)
}

/// A stage that is left out keeps the settings that the run has for it: they are those of what it left on disk.
fn keep_sections(run: &RunDir, plans: &mut [Plan], args: &PipelineArgs) -> Result<(), Failure> {
    let left_out = |stage: &StageName| !is_selected(*stage, args);
    if !StageName::ALL.iter().any(left_out) || !run.config().exists() {
        return Ok(());
    }
    let mut sections = config::read(&run.config()).map_err(Failure::usage)?;
    for stage in StageName::ALL.into_iter().filter(left_out) {
        if let Some(section) = sections.remove(stage.name()) {
            plans[stage as usize].config = stage::to_json(&section);
        }
    }
    Ok(())
}

/// What will happen to one stage.
struct Decision<'a> {
    plan: &'a Plan,
    /// Whether --from and --until include it.
    selected: bool,
    runs: bool,
    reason: String,
}

/// A stage also runs when one before it does, unless that gives what was there before; then the stage itself finds
/// out, and skips.
fn decide<'a>(plans: &'a [Plan], args: &PipelineArgs) -> Vec<Decision<'a>> {
    let mut earlier: Option<&str> = None;
    let mut decisions = Vec::new();
    for (stage, plan) in StageName::ALL.into_iter().zip(plans) {
        let selected = is_selected(stage, args);
        let (runs, reason) = match earlier {
            _ if !selected => (false, "left out by --from or --until".to_owned()),
            _ if plan.run => (true, plan.reason.clone()),
            Some(earlier) => (true, format!("{earlier} runs before it")),
            None if args.force => (true, "--force".to_owned()),
            None => (false, plan.reason.clone()),
        };
        if runs {
            earlier = Some(stage.name());
        }
        decisions.push(Decision { plan, selected, runs, reason });
    }
    decisions
}

fn say(decisions: &[Decision<'_>]) -> Result<(), Failure> {
    for Decision { plan, runs, reason, .. } in decisions {
        let verb = if *runs { "would run" } else { "would not run" };
        progress::line(&format!("{:<9} {verb}: {reason}", plan.stage));
        for notice in plan.notices.iter().filter(|_| *runs) {
            progress::line(&format!("          {notice}"));
        }
    }
    Ok(())
}

/// Writes the configuration of all stages with every default filled in. The time of this file says which run is the latest.
fn write_run_toml(run: &RunDir, plans: &[Plan]) -> Result<(), Failure> {
    let sections: BTreeMap<&str, &Value> = plans.iter().map(|plan| (plan.stage.as_str(), &plan.config)).collect();
    let mut document = toml::Table::new();
    for stage in names::STAGES {
        if let Some(toml::Value::Table(section)) = sections.get(stage).and_then(|config| to_toml(config)) {
            document.insert(stage.to_owned(), toml::Value::Table(section));
        }
    }
    let text = format!("# The resolved configuration of this run, defaults included.\n\n{document}");
    fs::create_dir_all(run.path()).map_err(artifacts::Error::io("create", run.path()))?;
    Ok(atomic::write_file(&run.config(), text.as_bytes())?)
}

/// JSON to TOML; an absent value has no form in TOML, and is left out.
fn to_toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => toml::Value::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => toml::Value::Integer(integer),
            None => toml::Value::Float(number.as_f64()?),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(to_toml).collect()),
        Value::Object(map) => {
            toml::Value::Table(map.iter().filter_map(|(key, value)| Some((key.clone(), to_toml(value)?))).collect())
        }
    })
}

/// Says how good the model is and where to read on.
fn closing_words(run: &RunDir) {
    let metrics: Option<Value> = atomic::read_json(&run.evaluate().join(names::METRICS), "metrics").ok();
    let score = |key: &str| metrics.as_ref().and_then(|metrics| metrics.get(key)?.as_f64());
    if let (Some(accuracy), Some(roc_auc)) = (score("accuracy"), score("roc_auc")) {
        progress::line(&format!("accuracy {accuracy:.3}, ROC-AUC {roc_auc:.3}"));
    }
    let report = run.report().join("index.html");
    if report.exists() {
        progress::line(&format!("report: {}", report.display()));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::{Cli, Task};

    fn args(rest: &[&str]) -> PipelineArgs {
        let command = ["xtask", "pipeline", "demo"].iter().chain(rest);
        match Cli::try_parse_from(command).unwrap().task {
            Task::Pipeline(args) => args,
            other => panic!("not a pipeline: {other:?}"),
        }
    }

    fn plans(run: [bool; 4]) -> Vec<Plan> {
        let plan = |(stage, run): (StageName, bool)| Plan {
            stage: stage.name().to_owned(),
            run,
            reason: format!("own {run}"),
            config: json!({}),
            notices: Vec::new(),
            splits: None,
        };
        StageName::ALL.into_iter().zip(run).map(plan).collect()
    }

    fn runs(own: [bool; 4], rest: &[&str]) -> Vec<bool> {
        decide(&plans(own), &args(rest)).iter().map(|decision| decision.runs).collect()
    }

    #[test]
    fn a_stage_runs_when_it_or_one_before_it_changed() {
        assert_eq!(runs([false; 4], &[]), [false; 4]);
        assert_eq!(runs([false, true, false, false], &[]), [false, true, true, true]);
        assert_eq!(runs([true; 4], &["--from", "evaluate"]), [false, false, true, true]);
        assert_eq!(runs([false, true, false, true], &["--until", "train"]), [false, true, false, false]);
        assert_eq!(runs([false; 4], &["--force", "--from", "report"]), [false, false, false, true]);
    }

    #[test]
    fn short_options_become_quoted_overrides() {
        let sets = overrides(&args(&["--set", "train.epochs=2", "--data", "my \"data\""]));
        assert_eq!(sets[0], "train.epochs=2");
        let parsed: toml::Table = sets[1].replace("ingest.source", "source").parse().unwrap();
        assert_eq!(parsed["source"].as_str(), Some("my \"data\""));
    }

    #[test]
    fn the_time_of_a_training_is_said_where_the_images_are_known() {
        let rate = |_| Ok(TrainingRate { device: "a card".to_owned(), images_per_second: 100.0 });
        let train = json!({ "epochs": 60, "runs": 2 });
        let ingest = json!({ "expected": { "train": 1000 }, "val_fraction": 0.1, "size": 224 });
        let said = training_time(&ingest, &train, rate).unwrap().unwrap();
        // 900 images, 60 epochs, 2 runs: 1080 s.
        assert!(said.contains("900 images: 0.3 hours at 100.0 images/s"), "{said}");
        let limited = json!({ "expected": { "train": 1000 }, "val_fraction": 0.1, "limit": 20 });
        let said = training_time(&limited, &train, rate).unwrap().unwrap();
        assert!(said.contains("about 40 images"), "{said}");
        let unknown = json!({ "expected": {} });
        assert!(training_time(&unknown, &train, |_| panic!("nothing to measure for")).unwrap().is_none());
    }

    #[test]
    fn an_unknown_pipeline_names_those_there_are() {
        let message = pipeline_file("demoo").unwrap_err().to_string();
        assert!(message.contains("demo, full, smoke"), "{message}");
    }

    #[test]
    fn the_resolved_configuration_leaves_out_what_is_absent() {
        let toml = to_toml(&json!({ "a": null, "b": 1, "c": 0.5, "d": ["x"], "e": { "f": true } })).unwrap();
        assert_eq!(toml.to_string().replace(' ', ""), r#"{b=1,c=0.5,d=["x"],e={f=true}}"#);
    }
}
