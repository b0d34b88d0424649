//! Runs the stages in order. A stage that is up to date is skipped.

mod decision;
mod estimate;
mod options;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use artifacts::schema::SplitSummary;
use artifacts::stage::{self, Failure, StagePlan};
use artifacts::{Manifest, RunDir, Split, atomic, config, names, progress, run_toml};
use serde_json::Value;

use self::decision::{Decision, decide};
use self::options::{is_selected, overrides, reject_options_of_skipped_stages};
use crate::args::{PipelineArgs, StageName};
use crate::provided::{Provided, ProvidedFiles};
use crate::{Programs, preflight, process, processes};

/// Runs the selected stages that are not up to date.
///
/// # Errors
/// The arguments or the configuration are not valid, or a stage fails.
pub fn run(programs: &dyn Programs, args: &PipelineArgs) -> Result<(), Failure> {
    if args.from > args.until {
        return Err(Failure::usage(format!("--from {} comes after --until {}", args.from.name(), args.until.name())));
    }
    reject_options_of_skipped_stages(args)?;
    let provided = pipeline_file(&programs.pipelines(), &args.name)?;
    let file = provided.path();
    let run = args.run_dir.as_ref().map_or_else(|| default_run(file), RunDir::new);
    if args.from > StageName::Ingest && !run.path().is_dir() {
        let advice = format!("name another with --run-dir, or leave out --from {}", args.from.name());
        return Err(
            artifacts::Error::Missing { artifact: "run".to_owned(), path: run.path().to_owned(), advice }.into()
        );
    }
    programs.prepare(&names::STAGES)?;

    // Check all sections before the first stage starts, so that a typo in [report] does not cost a night of training.
    let sets = overrides(args);
    // The settings of skipped stages are those of their artifacts. The pipeline file may lack some, such as the source.
    let own = Some(run.config()).filter(|config| config.exists());
    let file_of = |stage| if is_selected(stage, args) { file } else { own.as_deref().unwrap_or(file) };
    let plans = StageName::ALL.map(|stage| plan(programs, stage, &run, file_of(stage), &sets, args));
    let mut plans = plans.into_iter().collect::<Result<Vec<_>, _>>()?;
    let check = |plans: &mut Vec<StagePlan>| {
        keep_sections_of_skipped_stages(&run, plans, args)?;
        preflight::check_source(&run, plans, args)?;
        preflight::check(plans, |stage| is_selected(stage, args))
    };
    check(&mut plans)?;
    if !args.dry_run {
        check_can_run(&plans, args)?;
    }
    if decide(&plans, args)[StageName::Train as usize].runs
        && preflight::is_resnet(&plans[StageName::Train as usize].config)
        && let Some(images) = estimate::training_images(&run, &plans, args)
    {
        let [ingest, train] = [StageName::Ingest, StageName::Train].map(|stage| plans[stage as usize].config.clone());
        let size = ingest["size"].as_u64().unwrap_or(224);
        let rate = estimate::measure_rate(stage_command(programs, StageName::Train, &run, file, &sets)?, size)?;
        plans[StageName::Train as usize].notices.push(estimate::training_time(images, &train, &rate));
    }
    if args.dry_run {
        decision::print(&decide(&plans, args));
        return check_can_run(&plans, args);
    }
    // The lock is taken after all checks, because it creates the run's folder. It is held to the end, because a second
    // pipeline would change the settings of stages that this one has not started yet.
    let _lock = match stage::lock(&run, "pipeline") {
        // A run that cannot be written to, such as one on a read-only disk, may be up to date.
        Err(failure) if failure.is_io() && !decide(&plans, args).iter().any(|decision| decision.runs) => {
            decision::print(&decide(&plans, args));
            return print_result(&run, args);
        }
        lock => lock?,
    };
    // Another pipeline may have written run.toml before the lock was free.
    check(&mut plans)?;
    let decisions = decide(&plans, args);
    decision::print_warnings(&decisions);
    for notice in decisions.iter().filter(|decision| decision.runs).flat_map(|decision| &decision.plan.notices) {
        progress::line(notice);
    }
    let sections = plans.iter().map(|plan| (plan.stage.as_str(), &plan.config)).collect();
    run_toml::write(&run, &sections)?;
    for Decision { plan, .. } in decisions.iter().filter(|decision| decision.selected) {
        if plan.stage == names::TRAIN {
            let ingested = ingested_splits(&run)?;
            preflight::check_splits(&plans, |stage| is_selected(stage, args), |split| ingested.contains_key(&split))?;
        }
        let mut command = programs.command(&plan.stage)?;
        command.arg("--run-dir").arg(run.path()).arg("--config").arg(run.config());
        if args.force {
            command.arg("--force");
        }
        match args.processes {
            Some(number) if plan.stage == names::TRAIN => processes::run(&command, number.into())?,
            _ => process::run(&mut command)?,
        }
    }
    print_result(&run, args)
}

/// Checks that the stages that will run can do so now, as far as this is known.
fn check_can_run(plans: &[StagePlan], args: &PipelineArgs) -> Result<(), Failure> {
    preflight::check_first_inputs(&plans[args.from as usize])?;
    preflight::check_obstacles(
        decide(plans, args).iter().filter(|decision| decision.runs).map(|decision| decision.plan),
    )
}

/// Returns a pipeline file: `name` itself if it ends in `.toml`, otherwise the provided file with this name.
pub(crate) fn pipeline_file(provided: &ProvidedFiles, name: &str) -> Result<Provided, Failure> {
    if name.ends_with(".toml") {
        return Ok(Provided::at(name));
    }
    provided.open(name)?.ok_or_else(|| {
        Failure::usage(format!(
            "unknown pipeline `{name}`; use one of {}, or the path of a TOML file",
            provided.names().join(", ")
        ))
    })
}

/// Returns the default run of a pipeline file: `runs/NAME`.
pub(crate) fn default_run(file: &Path) -> RunDir {
    RunDir::named(file.file_stem().unwrap_or_default())
}

/// Returns the command of a stage with the pipeline file and its overrides, for use before run.toml is written.
fn stage_command(
    programs: &dyn Programs,
    stage: StageName,
    run: &RunDir,
    file: &Path,
    sets: &[String],
) -> Result<Command, Failure> {
    let mut command = programs.command(stage.name())?;
    command.arg("--run-dir").arg(run.path()).arg("--config").arg(file);
    for set in sets {
        command.arg("--set").arg(set);
    }
    Ok(command)
}

/// Returns the plan of a stage: whether it would run and why, as its program prints with `--plan`.
fn plan(
    programs: &dyn Programs,
    stage: StageName,
    run: &RunDir,
    file: &Path,
    sets: &[String],
    args: &PipelineArgs,
) -> Result<StagePlan, Failure> {
    let mut command = stage_command(programs, stage, run, file, sets)?;
    if args.force {
        command.arg("--force");
    }
    let output = process::capture(command.arg("--plan"))?;
    serde_json::from_slice(&output)
        .map_err(|e| Failure::failed(format!("failed to read the plan of {}: {e}", stage.name())))
}

/// Returns the splits in the ingest artifact.
fn ingested_splits(run: &RunDir) -> Result<BTreeMap<Split, SplitSummary>, Failure> {
    let manifest = Manifest::require(&run.ingest(), names::INGEST)?;
    let splits = manifest.summary["splits"].clone();
    serde_json::from_value(splits).map_err(|e| artifacts::Error::malformed(&run.ingest(), "ingest artifact", e).into())
}

/// Replaces the configuration of skipped stages with that in run.toml, which describes their artifacts on disk.
fn keep_sections_of_skipped_stages(run: &RunDir, plans: &mut [StagePlan], args: &PipelineArgs) -> Result<(), Failure> {
    let skipped = |stage: &StageName| !is_selected(*stage, args);
    if !StageName::ALL.iter().any(skipped) || !run.config().exists() {
        return Ok(());
    }
    let mut sections = config::read(&run.config()).map_err(Failure::usage)?;
    for stage in StageName::ALL.into_iter().filter(skipped) {
        if let Some(section) = sections.remove(stage.name()) {
            let mut config = stage::to_json(&section);
            for nested in names::nested_sections(stage.name()) {
                if let (Some(keys), Some(section)) = (config.as_object_mut(), sections.remove(nested)) {
                    keys.insert(nested.to_owned(), stage::to_json(&section));
                }
            }
            plans[stage as usize].config = config;
        }
    }
    Ok(())
}

/// Prints the scores and the path of the report, and with `--json` the summaries of all results. Omits results of stages
/// that this pipeline leaves out, because they may belong to another model.
fn print_result(run: &RunDir, args: &PipelineArgs) -> Result<(), Failure> {
    if is_selected(StageName::Evaluate, args)
        && let Ok(metrics) = atomic::read_json::<Value>(&run.evaluate().join(names::METRICS), "metrics")
        && let Some(scores) = format_scores(&metrics)
    {
        progress::line(&scores);
    }
    if is_selected(StageName::Report, args) {
        progress::line(&format!("report: {}", run.page().display()));
    }
    if args.json {
        let folders =
            StageName::ALL.into_iter().filter(|stage| is_selected(*stage, args)).flat_map(|stage| match stage {
                StageName::Train => run.complete_train_runs(),
                _ => vec![run.stage(stage.name())],
            });
        stage::print_json(&stage::results(&folders.collect::<Vec<_>>())?)?;
    }
    Ok(())
}

fn format_scores(metrics: &Value) -> Option<String> {
    let (accuracy, roc_auc) = (metrics["accuracy"].as_f64()?, metrics["roc_auc"].as_f64()?);
    let on = if metrics["simulated"].as_bool() == Some(true) { ", on simulated images" } else { "" };
    Some(format!("accuracy {accuracy:.3}, ROC-AUC {roc_auc:.3}{on}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Plans of the four stages. `run` is whether each stage is stale, without regard to the stages before it.
    pub(super) fn plans(run: [bool; 4]) -> Vec<StagePlan> {
        let plan = |(stage, run): (StageName, bool)| StagePlan {
            stage: stage.name().to_owned(),
            run,
            reason: format!("own {run}"),
            config: json!({}),
            notices: Vec::new(),
            obstacles: Vec::new(),
            warnings: Vec::new(),
            splits: None,
            input_error: None,
        };
        StageName::ALL.into_iter().zip(run).map(plan).collect()
    }

    #[test]
    fn marks_scores_on_simulated_images() {
        let scores = |simulated: bool| format_scores(&json!({ "accuracy": 0.5, "roc_auc": 1, "simulated": simulated }));
        assert_eq!(scores(false).unwrap(), "accuracy 0.500, ROC-AUC 1.000");
        assert_eq!(scores(true).unwrap(), "accuracy 0.500, ROC-AUC 1.000, on simulated images");
        assert_eq!(format_scores(&json!({ "accuracy": 0.5, "roc_auc": null })), None);
    }

    #[test]
    fn unknown_pipeline_lists_existing_ones() {
        let provided = ProvidedFiles::BuiltIn(&[("demo", ""), ("full", "")]);
        let message = pipeline_file(&provided, "demoo").unwrap_err().to_string();
        assert!(message.contains("use one of demo, full, or"), "{message}");
    }
}
