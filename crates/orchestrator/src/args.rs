//! The arguments of a pipeline.

use std::path::PathBuf;

use artifacts::config::Override;
use artifacts::stage::Failure;
use clap::{Args, ValueEnum};

/// The arguments of a pipeline.
#[derive(Clone, Debug, Args)]
pub struct PipelineArgs {
    /// The name of a pipeline (demo, branches, aligned, probe, full, smoke), or the path of a TOML file
    pub name: String,
    /// Override one key, e.g. --set train.epochs=2 (repeatable); docs/configuration.md lists the keys
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Short forms of overrides.
    #[command(flatten)]
    pub short: ShortOptions,
    /// The run's folder [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Train with N processes of this machine, through the mpirun that is installed; docs/clusters.md explains it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub processes: Option<u16>,
    /// Start with this stage; stages before it keep their results and their settings in run.toml
    #[arg(long, value_name = "STAGE", default_value = "ingest")]
    pub from: StageName,
    /// Stop after this stage; stages after it keep their settings in run.toml
    #[arg(long, value_name = "STAGE", default_value = "report")]
    pub until: StageName,
    /// Run the stages even if nothing has changed
    #[arg(long)]
    pub force: bool,
    /// At the end, print the folders of the results and their summaries as one line of JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Print whether each stage would run and why, with downloads, disk space and time, then exit
    #[arg(long)]
    pub dry_run: bool,
}

/// Short forms of overrides that most pipelines need.
#[derive(Clone, Debug, Default, Args)]
pub struct ShortOptions {
    /// The source of images: a folder, a .zip, a .csv, a .parquet, `kaggle:owner/slug[@version]`,
    /// `hf:datasets/owner/name` or simulated:…; may be repeated; short for --set ingest.source=SOURCE
    #[arg(long, value_name = "SOURCE")]
    pub data: Vec<String>,
    /// Initial weights: `hf:owner/repo[/file][@revision]`, a safetensors file, or none for random weights; short for
    /// --set train.weights=SOURCE
    #[arg(long, value_name = "SOURCE")]
    pub weights: Option<String>,
    /// The device to compute on: auto, cpu or `cuda[:N]`; short for --set train.device=DEVICE and --set
    /// evaluate.device=DEVICE
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
}

impl ShortOptions {
    /// The options in the form of `--set`.
    pub(crate) fn sets(&self) -> Vec<String> {
        let quoted = |key: &str, value: &str| format!("{key}={}", toml::Value::String(value.to_owned()));
        let data = match &self.data[..] {
            [] => None,
            [source] => Some(quoted("ingest.source", source)),
            several => Some(format!("ingest.source={}", toml::Value::from(several.to_vec()))),
        };
        let sets = [
            data,
            self.weights.as_ref().map(|source| quoted("train.weights", source)),
            self.device.as_ref().map(|device| quoted("train.device", device)),
            self.device.as_ref().map(|device| quoted("evaluate.device", device)),
        ];
        sets.into_iter().flatten().collect()
    }
}

/// The stages, in the order they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum StageName {
    /// Source of images -> shards
    Ingest,
    /// Shards -> checkpoints
    Train,
    /// Checkpoints -> metrics
    Evaluate,
    /// Evaluation -> HTML
    Report,
}

impl StageName {
    /// All stages.
    pub const ALL: [StageName; 4] = [StageName::Ingest, StageName::Train, StageName::Evaluate, StageName::Report];

    /// The name of the section in pipeline files, of the folder and of the program.
    pub fn name(self) -> &'static str {
        artifacts::names::STAGES[self as usize]
    }

    /// Returns the stage that an override, `KEY=VALUE`, is for; `None` if there is no such section.
    ///
    /// # Errors
    /// The override is malformed.
    pub(crate) fn of_set(set: &str) -> Result<Option<StageName>, Failure> {
        let set = Override::parse(set).map_err(artifacts::Error::from)?;
        let name = artifacts::names::stage_of_section(set.section());
        Ok(StageName::ALL.into_iter().find(|stage| Some(stage.name()) == name))
    }
}

#[cfg(test)]
impl PipelineArgs {
    /// Parses `pipeline demo OPTIONS…`.
    pub(crate) fn of_demo(options: &[&str]) -> PipelineArgs {
        use clap::FromArgMatches;

        let command = PipelineArgs::augment_args(clap::Command::new("pipeline"));
        let matches = command.get_matches_from(["pipeline", "demo"].iter().chain(options));
        PipelineArgs::from_arg_matches(&matches).expect("arguments of a pipeline")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_names_match_artifacts() {
        assert_eq!(StageName::ALL.map(StageName::name), artifacts::names::STAGES);
        for stage in StageName::ALL {
            assert_eq!(stage.to_possible_value().unwrap().get_name(), stage.name());
        }
    }
}
