//! The command line of `cargo xtask`.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};
use orchestrator::PipelineArgs;
use orchestrator::runs::RunsArgs;
use orchestrator::sweep::SweepArgs;

use crate::bench::BenchArgs;
use crate::cuda::CudaChoice;
use crate::torture::TortureArgs;

/// Train, evaluate and explain detectors of AI-generated images.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Whether to build the programs with CUDA; give it before the name of a stage, predict, compare or judge
    #[arg(long, global = true, value_enum, value_name = "CHOICE", default_value = "auto")]
    pub(crate) cuda: CudaChoice,
    #[command(subcommand)]
    pub(crate) task: Task,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 3 bad or missing input data,
130 interrupted with nothing half written (a training saves its progress, and the same command resumes it).

First steps:
  cargo xtask pipeline demo                       a simulated data set, no network, a few minutes
  cargo xtask pipeline demo --data FOLDER         your own folder of images, real/ and fake/ in it
  cargo xtask pipeline full                       the ResNet-50 baseline on DeepDetect-2025
  cargo xtask evaluate --ckpt last                one stage again, on the latest run";

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run pipelines/NAME.toml: ingest, train, evaluate, report; stages that are up to date are skipped
    Pipeline(PipelineArgs),
    /// Run only ingest: source of images -> shards [--pipeline NAME | --run-dir DIR] [more options: --help]
    #[command(disable_help_flag = true)]
    Ingest(PassedArgs),
    /// Run only train: shards -> checkpoints [--pipeline NAME | --run-dir DIR] [more options: --help]
    #[command(disable_help_flag = true)]
    Train(PassedArgs),
    /// Run only evaluate: checkpoints -> metrics [--pipeline NAME | --run-dir DIR] [more options: --help]
    #[command(disable_help_flag = true)]
    Evaluate(PassedArgs),
    /// Run only report: evaluation -> HTML [--pipeline NAME | --run-dir DIR] [more options: --help]
    #[command(disable_help_flag = true)]
    Report(PassedArgs),
    /// Print P(fake) and a verdict for files and folders [PATH…] [more options: --help]
    #[command(disable_help_flag = true)]
    Predict(PassedArgs),
    /// Repeat a verdict from its record and say what is equal RECORD PICTURE [more options: --help]
    #[command(disable_help_flag = true)]
    Verify(PassedArgs),
    /// Write a trained model for other programs --format hf|onnx --out PATH [more options: --help]
    #[command(disable_help_flag = true)]
    Export(PassedArgs),
    /// Serve a page and a JSON API on 127.0.0.1 that check pictures [--run-dir DIR] [--port N] [more options: --help]
    #[command(disable_help_flag = true)]
    Serve(PassedArgs),
    /// Compare runs on the same images: paired tests and an HTML page [RUN RUN…] [more options: --help]
    #[command(disable_help_flag = true)]
    Compare(PassedArgs),
    /// Evaluate the predictions of any detector from a file --predictions FILE [--data SOURCE] [more options: --help]
    #[command(disable_help_flag = true)]
    Judge(PassedArgs),
    /// Evaluate on a benchmark of the field NAME --root FOLDER [--predictions FILE | --model RUN] [more: --help]
    #[command(disable_help_flag = true)]
    Benchmark(PassedArgs),
    /// List runs with their data, model, state, scores and size; describe one; delete what was set aside
    Runs(RunsArgs),
    /// Train and evaluate a pipeline with several settings or generators, and tabulate the scores
    Sweep(SweepArgs),
    /// Measure speed and memory of training, inference and ingest, compared with PyTorch and other programs
    Bench(BenchArgs),
    /// Check format, lints, all tests and the smoke pipeline, as CI does
    Ci,
    /// Compile, lint and test with the feature cuda; needs neither a GPU nor an installed CUDA toolkit
    CudaCheck,
    /// Feed damaged files to every reader of files from outside [more options: --help]
    #[command(disable_help_flag = true)]
    Fuzz(PassedArgs),
    /// Kill a small pipeline, damage its files and fill its disk, and check its results
    Torture(TortureArgs),
    /// Check the project's rules that neither the compiler nor clippy checks
    Tidy,
}

impl Task {
    /// Whether several processes will train together, so that the programs need MPI.
    pub(crate) fn starts_processes(&self) -> bool {
        match self {
            Task::Pipeline(args) => args.processes.is_some(),
            Task::Train(PassedArgs { rest }) => {
                rest.iter().any(|word| word.to_string_lossy().split('=').next() == Some("--processes"))
            }
            _ => false,
        }
    }
}

/// Arguments that are passed to a program unchanged.
#[derive(Debug, Args)]
pub(crate) struct PassedArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn passes_stage_options_on() {
        let cli = Cli::try_parse_from(["xtask", "evaluate", "--ckpt", "best", "--help"]).unwrap();
        let Task::Evaluate(args) = cli.task else { panic!("not evaluate: {:?}", cli.task) };
        assert_eq!(args.rest, ["--ckpt", "best", "--help"]);
    }

    #[test]
    fn accepts_cuda_option_before_a_stage_and_anywhere_in_a_pipeline() {
        let choice = |words: &[&str]| Cli::try_parse_from(words).unwrap().cuda;
        assert_eq!(choice(&["xtask", "train"]), CudaChoice::Auto);
        assert_eq!(choice(&["xtask", "--cuda", "off", "train", "--resume", "--cuda"]), CudaChoice::Off);
        assert_eq!(choice(&["xtask", "pipeline", "demo", "--cuda", "on"]), CudaChoice::On);
    }
}
