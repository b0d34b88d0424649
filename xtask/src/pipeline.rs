//! `cargo xtask pipeline`: all stages in order, each skipped when nothing it depends on has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::config::Override;
use artifacts::schema::{SplitSummary, TrainingRate};
use artifacts::stage::{self, Failure, Plan, exit};
use artifacts::{Manifest, RunDir, Split, atomic, config, names, progress};
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
    refuse_left_out(args)?;
    let file = pipeline_file(&args.name)?;
    let run = args.run_dir.as_ref().map_or_else(|| default_run(&file), RunDir::new);
    if args.from > StageName::Ingest && !run.path().is_dir() {
        let advice = format!("name another with --run-dir, or leave out --from {}", args.from.name());
        return Err(
            artifacts::Error::Missing { artifact: "run".to_owned(), path: run.path().to_owned(), advice }.into()
        );
    }
    programs::build(cuda)?;

    // Every section is checked before the first stage starts: a typo in [report] must not cost a night of training.
    let sets = overrides(args);
    let plans = StageName::ALL.map(|stage| plan(stage, &run, &file, &sets));
    let mut plans = plans.into_iter().collect::<Result<Vec<_>, _>>()?;
    let settle = |plans: &mut Vec<Plan>| {
        keep_sections(&run, plans, args)?;
        agreement::check(plans, |stage| is_selected(stage, args))
    };
    settle(&mut plans)?;
    if !args.dry_run {
        refuse_unreadable(&plans[args.from as usize])?;
    }
    if decide(&plans, args)[StageName::Train as usize].runs
        && let Some(images) = training_images(&run, &plans, args)
    {
        let [ingest, train] = [StageName::Ingest, StageName::Train].map(|stage| plans[stage as usize].config.clone());
        let size = ingest["size"].as_u64().unwrap_or(224);
        let rate = rate(stage_command(StageName::Train, &run, &file, &sets)?, size)?;
        plans[StageName::Train as usize].notices.push(training_time(images, &train, &rate));
    }
    if args.dry_run {
        return say(&decide(&plans, args));
    }
    // Taken after all that may be refused, because it makes the run's folder. Held to the end: a second pipeline would change
    // the settings of the stages that this one has yet to start.
    let _lock = stage::lock(&run, "pipeline")?;
    // Once more, for what another pipeline may have written before the lock was free.
    settle(&mut plans)?;
    let decisions = decide(&plans, args);
    for notice in decisions.iter().filter(|decision| decision.runs).flat_map(|decision| &decision.plan.notices) {
        progress::line(notice);
    }
    write_run_toml(&run, &plans)?;
    for decision in decisions.iter().filter(|decision| decision.selected) {
        if decision.plan.stage == names::TRAIN {
            let made = ingested(&run)?;
            agreement::check_splits(&plans, |stage| is_selected(stage, args), |split| made.contains_key(&split))?;
        }
        let mut command = programs::program(&decision.plan.stage)?;
        command.arg("--run-dir").arg(run.path()).arg("--config").arg(run.config());
        if args.force {
            command.arg("--force");
        }
        programs::run(&mut command)?;
    }
    closing_words(&run, args);
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

/// The run of a pipeline file where no other is named.
pub(crate) fn default_run(file: &Path) -> RunDir {
    RunDir::named(file.file_stem().unwrap_or_default())
}

/// Refuses options for stages that are left out: the run keeps the settings that it has of them.
fn refuse_left_out(args: &PipelineArgs) -> Result<(), Failure> {
    let short = [
        ("--data", args.data.is_some(), [StageName::Ingest].as_slice()),
        ("--weights", args.weights.is_some(), &[StageName::Train]),
        ("--device", args.device.is_some(), &[StageName::Train, StageName::Evaluate]),
    ];
    for (option, _, stages) in short.into_iter().filter(|(_, given, _)| *given) {
        if !stages.iter().any(|stage| is_selected(*stage, args)) {
            return Err(left_out(option, stages, args));
        }
    }
    for set in &args.set {
        let section = Override::parse(set).map_err(artifacts::Error::from)?;
        let stage = StageName::ALL.into_iter().find(|stage| stage.name() == section.section());
        if let Some(stage) = stage.filter(|stage| !is_selected(*stage, args)) {
            return Err(left_out(&format!("--set {set}"), &[stage], args));
        }
    }
    Ok(())
}

/// Refuses to begin with a stage that cannot read its inputs: no earlier one will make them.
fn refuse_unreadable(first: &Plan) -> Result<(), Failure> {
    let Some(code) = first.lacks else { return Ok(()) };
    let reason = format!("{}: {}", first.stage, first.reason);
    Err(match code {
        exit::USAGE => Failure::usage(reason),
        exit::INPUT => Failure::input(reason),
        _ => Failure::failed(reason),
    })
}

fn left_out(option: &str, stages: &[StageName], args: &PipelineArgs) -> Failure {
    let names: Vec<&str> = stages.iter().map(|stage| stage.name()).collect();
    let by = match stages[0] < args.from {
        true => format!("--from {}", args.from.name()),
        false => format!("--until {}", args.until.name()),
    };
    Failure::usage(format!(
        "`{option}` is for {}, which {by} leaves out: the run keeps the settings that it has of it; leave out one or the other",
        names.join(" and ")
    ))
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

/// How many images will be trained on, where the pipeline expects a number of its source: so many, or as many as ingest made
/// of it where it is left out.
fn training_images(run: &RunDir, plans: &[Plan], args: &PipelineArgs) -> Option<u64> {
    let expected = plans[StageName::Ingest as usize].splits.as_ref()?.get(&Split::Train).copied()?;
    if is_selected(StageName::Ingest, args) {
        return expected;
    }
    // Where nothing was ingested, the training itself will say so.
    expected.and_then(|_| Some(ingested(run).ok()?.get(&Split::Train)?.labels.values().sum()))
}

/// How long the training will take.
fn training_time(images: u64, train: &Value, rate: &TrainingRate) -> String {
    let TrainingRate { device, images_per_second } = rate;
    let number = |key: &str| train[key].as_f64().unwrap_or(1.0);
    let (epochs, runs) = (number("epochs"), number("runs"));
    let hours = images as f64 * epochs * runs / images_per_second.max(1e-9) / 3600.0;
    format!(
        "{runs} training run(s) of {epochs} epochs on about {images} images: {hours:.1} hours at {images_per_second:.1} \
         images/s, measured just now on {device}, and some more for validation; checkpoints take about {:.1} GB",
        runs * CHECKPOINTS_GB
    )
}

/// The splits that ingest made.
fn ingested(run: &RunDir) -> Result<BTreeMap<Split, SplitSummary>, Failure> {
    let manifest = Manifest::require(&run.ingest(), names::INGEST)?;
    let splits = manifest.summary["splits"].clone();
    serde_json::from_value(splits).map_err(|e| artifacts::Error::malformed(&run.ingest(), "ingest artifact", e).into())
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
    let text = format!(
        "# The resolved configuration of this run, defaults included. A key that is not here is unset, or follows from others, as\n\
         # train.learning_rate does from train.weights: the manifest beside each artifact has what was used.\n\n{document}"
    );
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

/// Says how good the model is and where to read on, as far as this pipeline has looked after that: what it left out may be
/// another model's.
fn closing_words(run: &RunDir, args: &PipelineArgs) {
    if is_selected(StageName::Evaluate, args)
        && let Ok(metrics) = atomic::read_json::<Value>(&run.evaluate().join(names::METRICS), "metrics")
        && let Some(scores) = scores_in_words(&metrics)
    {
        progress::line(&scores);
    }
    if is_selected(StageName::Report, args) {
        progress::line(&format!("report: {}", run.page().display()));
    }
}

fn scores_in_words(metrics: &Value) -> Option<String> {
    let (accuracy, roc_auc) = (metrics["accuracy"].as_f64()?, metrics["roc_auc"].as_f64()?);
    let on = if metrics["simulated"].as_bool() == Some(true) { ", on simulated images" } else { "" };
    Some(format!("accuracy {accuracy:.3}, ROC-AUC {roc_auc:.3}{on}"))
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
            lacks: None,
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
        let rate = TrainingRate { device: "a card".to_owned(), images_per_second: 100.0 };
        let said = training_time(900, &json!({ "epochs": 60, "runs": 2 }), &rate);
        // 900 images, 60 epochs, 2 runs: 1080 s.
        assert!(said.contains("900 images: 0.3 hours at 100.0 images/s"), "{said}");
        let images = |splits: &[(Split, Option<u64>)], rest: &[&str]| {
            let mut plans = plans([true; 4]);
            plans[StageName::Ingest as usize].splits = Some(splits.iter().copied().collect());
            training_images(&RunDir::new("no/such/run"), &plans, &args(rest))
        };
        assert_eq!(images(&[(Split::Train, Some(720)), (Split::Val, Some(80))], &[]), Some(720));
        assert_eq!(images(&[(Split::Train, None)], &[]), None);
        assert_eq!(images(&[], &[]), None);
        assert_eq!(images(&[(Split::Train, Some(720))], &["--from", "train"]), None);
    }

    #[test]
    fn options_for_a_stage_that_is_left_out_are_refused_by_name() {
        for (rest, option, stage, by) in [
            (&["--from", "train", "--data", "photos"][..], "--data", "ingest", "--from train"),
            (&["--from", "evaluate", "--weights", "none"], "--weights", "train", "--from evaluate"),
            (&["--from", "report", "--device", "cpu"], "--device", "train and evaluate", "--from report"),
            (&["--from", "train", "--set", "ingest.size=64"], "--set ingest.size=64", "ingest", "--from train"),
            (&["--until", "train", "--set", "report.title=x"], "--set report.title=x", "report", "--until train"),
        ] {
            let refused = refuse_left_out(&args(rest)).unwrap_err();
            assert_eq!(refused.code(), exit::USAGE);
            let start = format!("`{option}` is for {stage}, which {by} leaves out");
            assert!(refused.to_string().starts_with(&start), "{refused}");
        }
        for rest in [
            &["--from", "evaluate", "--device", "cpu"][..],
            &["--from", "train", "--weights", "none", "--set", "train.epochs=1"],
            // Who knows the sections says what is wrong with it.
            &["--from", "train", "--set", "trian.epochs=1"],
        ] {
            refuse_left_out(&args(rest)).unwrap();
        }
    }

    #[test]
    fn scores_on_simulated_images_are_said_to_be() {
        let words =
            |simulated: bool| scores_in_words(&json!({ "accuracy": 0.5, "roc_auc": 1, "simulated": simulated }));
        assert_eq!(words(false).unwrap(), "accuracy 0.500, ROC-AUC 1.000");
        assert_eq!(words(true).unwrap(), "accuracy 0.500, ROC-AUC 1.000, on simulated images");
        assert_eq!(scores_in_words(&json!({ "accuracy": 0.5, "roc_auc": null })), None);
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
