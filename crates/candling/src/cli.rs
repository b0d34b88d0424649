//! The command line of `candling`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use evaluate::cli::{CompareArgs, EvaluateArgs};
use export::cli::ExportArgs;
use ingest::cli::IngestArgs;
use judge::cli::JudgeArgs;
use orchestrator::PipelineArgs;
use orchestrator::benchmark::BenchmarkArgs;
use orchestrator::runs::RunsArgs;
use orchestrator::sweep::SweepArgs;
use predict::cli::{PredictArgs, VerifyArgs};
use report::cli::ReportArgs;
use serve::cli::ServeArgs;
use train::cli::TrainArgs;

/// Tell photographs from AI-generated images, and train and evaluate detectors
#[derive(Debug, Parser)]
#[command(name = "candling", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) task: Task,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 3 bad or missing input data,
130 interrupted with nothing half written (a training saves its progress, and the same command resumes it).

Runs are written to the folder runs of the working folder. First steps:
  candling pipeline demo                       a simulated data set, no network, a few minutes
  candling predict PICTURE                     a verdict of the latest run's model
  candling serve                               a page on this machine, to drop pictures on
  candling pipeline demo --data FOLDER         your own folder of images, real/ and fake/ in it
  candling evaluate --ckpt last                one stage again, on the latest run";

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    #[command(display_order = 10)]
    Predict(PredictArgs),
    /// Serve a page and a JSON API on 127.0.0.1 that check pictures; nothing leaves this machine
    #[command(display_order = 11)]
    Serve(ServeArgs),
    #[command(display_order = 12)]
    Verify(VerifyArgs),
    #[command(display_order = 13)]
    Export(ExportArgs),
    #[command(display_order = 20)]
    Compare(CompareArgs),
    #[command(display_order = 21)]
    Judge(JudgeArgs),
    #[command(display_order = 22)]
    Benchmark(BenchmarkArgs),
    /// Run a pipeline: ingest, train, evaluate, report; stages that are up to date are skipped
    #[command(display_order = 30)]
    Pipeline(PipelineArgs),
    /// List runs with their data, model, state, scores and size; describe one; delete what was set aside
    #[command(display_order = 36)]
    Runs(RunsArgs),
    /// Train and evaluate a pipeline with several settings or generators, and tabulate the scores
    #[command(display_order = 35)]
    Sweep(SweepArgs),
    #[command(display_order = 31)]
    Ingest(StageCommand<IngestArgs>),
    #[command(display_order = 32)]
    Train(StageCommand<TrainArgs>),
    #[command(display_order = 33)]
    Evaluate(StageCommand<EvaluateArgs>),
    #[command(display_order = 34)]
    Report(StageCommand<ReportArgs>),
    /// Print the completions of a shell
    #[command(display_order = 40)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages
    #[command(display_order = 41)]
    Man {
        /// The folder to write candling.1 and the pages of all commands to
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
}

// A stage with the option that only the orchestrator knows. A documentation comment would replace the description of
// the stage in the help.
#[derive(Debug, Args)]
pub(crate) struct StageCommand<A: Args> {
    #[command(flatten)]
    pub(crate) args: A,
    /// The pipeline whose run is used, and whose settings if the run has none: its name, or the path of a TOML file
    #[arg(long, value_name = "NAME", conflicts_with_all = ["run_dir", "config"])]
    pub(crate) pipeline: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    /// The words themselves are passed on, see `main`, so that it does not matter which field has them.
    #[test]
    fn benchmark_accepts_options_of_judge_and_evaluate() {
        for rest in
            ["--predictions a.csv b.csv --higher-is real --resamples 9", "--model runs/demo --split val --force"]
        {
            let words = format!("candling benchmark genimage --root x {rest}");
            assert!(Cli::try_parse_from(words.split(' ')).is_ok(), "{words}");
        }
        for wrong in ["candling benchmark", "candling benchmark genimage"] {
            assert!(Cli::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_command_has_a_description() {
        for command in Cli::command().get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty(), "{}", command.get_name());
        }
    }
}
