//! The options of a pipeline, as overrides of the pipeline file.

use artifacts::stage::Failure;

use crate::args::{PipelineArgs, StageName};

/// Returns whether --from and --until include a stage.
pub(super) fn is_selected(stage: StageName, args: &PipelineArgs) -> bool {
    (args.from..=args.until).contains(&stage)
}

/// Rejects options for stages that --from or --until leaves out. They would have no effect, because the run keeps its
/// settings of these stages.
pub(super) fn reject_options_of_skipped_stages(args: &PipelineArgs) -> Result<(), Failure> {
    let short = [
        ("--data", !args.short.data.is_empty(), [StageName::Ingest].as_slice()),
        ("--weights", args.short.weights.is_some(), &[StageName::Train]),
        ("--processes", args.processes.is_some(), &[StageName::Train]),
        ("--device", args.short.device.is_some(), &[StageName::Train, StageName::Evaluate]),
    ];
    for (option, _, stages) in short.into_iter().filter(|(_, given, _)| *given) {
        if !stages.iter().any(|stage| is_selected(*stage, args)) {
            return Err(option_of_skipped_stage(option, stages, args));
        }
    }
    for set in &args.set {
        if let Some(stage) = StageName::of_set(set)?.filter(|stage| !is_selected(*stage, args)) {
            return Err(option_of_skipped_stage(&format!("--set {set}"), &[stage], args));
        }
    }
    Ok(())
}

fn option_of_skipped_stage(option: &str, stages: &[StageName], args: &PipelineArgs) -> Failure {
    let names: Vec<&str> = stages.iter().map(|stage| stage.name()).collect();
    let by = match stages[0] < args.from {
        true => format!("--from {}", args.from.name()),
        false => format!("--until {}", args.until.name()),
    };
    Failure::usage(format!(
        "`{option}` is for {}, which {by} leaves out, so the run would keep its settings; remove one of the two options",
        names.join(" and ")
    ))
}

/// Returns all overrides in the form of `--set`. The short options come last, so they take precedence.
pub(super) fn overrides(args: &PipelineArgs) -> Vec<String> {
    [args.set.clone(), args.short.sets()].concat()
}

#[cfg(test)]
mod tests {
    use artifacts::stage::exit;

    use super::*;

    #[test]
    fn quotes_values_of_short_options() {
        let sets = overrides(&PipelineArgs::of_demo(&["--set", "train.epochs=2", "--data", "my \"data\""]));
        assert_eq!(sets[0], "train.epochs=2");
        let parsed: toml::Table = sets[1].replace("ingest.source", "source").parse().unwrap();
        assert_eq!(parsed["source"].as_str(), Some("my \"data\""));
    }

    #[test]
    fn rejects_options_of_skipped_stages_by_name() {
        for (rest, option, stage, by) in [
            (&["--from", "train", "--data", "photos"][..], "--data", "ingest", "--from train"),
            (&["--from", "evaluate", "--weights", "none"], "--weights", "train", "--from evaluate"),
            (&["--from", "report", "--device", "cpu"], "--device", "train and evaluate", "--from report"),
            (&["--from", "train", "--set", "ingest.size=64"], "--set ingest.size=64", "ingest", "--from train"),
            (&["--until", "train", "--set", "report.title=x"], "--set report.title=x", "report", "--until train"),
        ] {
            let refused = reject_options_of_skipped_stages(&PipelineArgs::of_demo(rest)).unwrap_err();
            assert_eq!(refused.code(), exit::USAGE);
            let start = format!("`{option}` is for {stage}, which {by} leaves out");
            assert!(refused.to_string().starts_with(&start), "{refused}");
        }
        for rest in [
            &["--from", "evaluate", "--device", "cpu"][..],
            &["--from", "train", "--weights", "none", "--set", "train.epochs=1"],
            // The stage programs report unknown sections.
            &["--from", "train", "--set", "trian.epochs=1"],
        ] {
            reject_options_of_skipped_stages(&PipelineArgs::of_demo(rest)).unwrap();
        }
    }
}
