//! What can be typed after `cargo xtask`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::BenchArgs;
use crate::cuda::CudaChoice;

/// Train, judge and explain detectors of AI-generated images.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Whether the stage programs are built for CUDA cards; before the name of a single stage
    #[arg(long, global = true, value_enum, value_name = "CHOICE", default_value = "auto")]
    pub(crate) cuda: CudaChoice,
    #[command(subcommand)]
    pub(crate) task: Task,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 3 bad or missing input data,
130 interrupted with nothing half written (a training is saved, and the same command goes on from there).

First steps:
  cargo xtask pipeline demo                       a simulated data set, no network, a few minutes
  cargo xtask pipeline demo --data FOLDER         your own folder of images, real/ and fake/ in it
  cargo xtask pipeline full                       the ResNet-50 baseline on DeepDetect-2025
  cargo xtask evaluate --ckpt last                one stage again, on the latest run";

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run pipelines/NAME.toml: ingest, train, evaluate, report; what has not changed is skipped
    Pipeline(PipelineArgs),
    /// Run only ingest: source of images -> shards [--pipeline NAME | --run-dir DIR] [its options: --help]
    #[command(disable_help_flag = true)]
    Ingest(Rest),
    /// Run only train: shards -> checkpoints [--pipeline NAME | --run-dir DIR] [its options: --help]
    #[command(disable_help_flag = true)]
    Train(Rest),
    /// Run only evaluate: checkpoint -> metrics [--pipeline NAME | --run-dir DIR] [its options: --help]
    #[command(disable_help_flag = true)]
    Evaluate(Rest),
    /// Run only report: evaluation -> HTML [--pipeline NAME | --run-dir DIR] [its options: --help]
    #[command(disable_help_flag = true)]
    Report(Rest),
    /// P(fake) and a verdict for files and folders [PATH…] [its options: --help]
    #[command(disable_help_flag = true)]
    Predict(Rest),
    /// Runs side by side on the same images: paired tests, and a page about them [RUN RUN…] [its options: --help]
    #[command(disable_help_flag = true)]
    Compare(Rest),
    /// Speed and memory beside the peers', in turn in one run: training, inference, ingest, the machine's peak
    Bench(BenchArgs),
    /// Format, lints, all tests and the smoke pipeline: what CI runs
    Ci,
    /// Compile and lint with the feature cuda, and test its back end: with or without a card or a toolkit
    CudaCheck,
    /// Check the house rules that no compiler checks
    Tidy,
}

/// What is handed on to a stage program as it is.
#[derive(Debug, Args)]
pub(crate) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    /// A file in pipelines/ without its ending (demo, full, smoke), or the path of a TOML file
    pub(crate) name: String,
    /// Override one key, e.g. --set train.epochs=2 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Where the images are: a folder, zip, CSV, kaggle:owner/slug or simulated:…; short for --set ingest.source=…
    #[arg(long, value_name = "SOURCE")]
    pub(crate) data: Option<String>,
    /// Initial weights: hf:repo[/file], a safetensors file, or none; short for --set train.weights=…
    #[arg(long, value_name = "SOURCE")]
    pub(crate) weights: Option<String>,
    /// Where to compute: auto, cpu or `cuda[:N]`; short for --set train.device=… --set evaluate.device=…
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// The run's folder [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Start with this stage, on what is on disk; the run keeps its settings of the stages that are left out
    #[arg(long, value_name = "STAGE", default_value = "ingest")]
    pub(crate) from: StageName,
    /// Stop after this stage
    #[arg(long, value_name = "STAGE", default_value = "report")]
    pub(crate) until: StageName,
    /// Run the stages even when nothing has changed
    #[arg(long)]
    pub(crate) force: bool,
    /// Print whether each stage would run and why, then exit
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The stages, in the order they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum StageName {
    Ingest,
    Train,
    Evaluate,
    Report,
}

impl StageName {
    pub(crate) const ALL: [StageName; 4] =
        [StageName::Ingest, StageName::Train, StageName::Evaluate, StageName::Report];

    /// The name in pipeline files, folders and programs.
    pub(crate) fn name(self) -> &'static str {
        artifacts::names::STAGES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn stage_options_are_handed_on() {
        let cli = Cli::try_parse_from(["xtask", "evaluate", "--ckpt", "best", "--help"]).unwrap();
        let Task::Evaluate(args) = cli.task else { panic!("not evaluate: {:?}", cli.task) };
        assert_eq!(args.rest, ["--ckpt", "best", "--help"]);
    }

    #[test]
    fn the_build_is_chosen_before_a_stage_and_anywhere_in_a_pipeline() {
        let choice = |words: &[&str]| Cli::try_parse_from(words).unwrap().cuda;
        assert_eq!(choice(&["xtask", "train"]), CudaChoice::Auto);
        assert_eq!(choice(&["xtask", "--cuda", "off", "train", "--resume", "--cuda"]), CudaChoice::Off);
        assert_eq!(choice(&["xtask", "pipeline", "demo", "--cuda", "on"]), CudaChoice::On);
    }

    #[test]
    fn stage_names_agree_with_the_contract() {
        assert_eq!(StageName::ALL.map(StageName::name), artifacts::names::STAGES);
        for stage in StageName::ALL {
            assert_eq!(stage.to_possible_value().unwrap().get_name(), stage.name());
        }
    }
}
