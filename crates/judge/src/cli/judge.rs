//! Evaluates predictions that any detector wrote to a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use artifacts::command;
use artifacts::progress::line;
use artifacts::schema::{Interval, Judged, Metric, ScoreKind, ThresholdSource};
use artifacts::stage::{self, Failure};
use artifacts::{Label, Split};
use clap::{Args, ValueEnum};
use evaluate::result_table::{TableFormat, tables};

use crate::config::{Config, LabelPolicy};
use crate::error::Error;
use crate::run::{self, JudgedRun, Request};

/// Evaluate the predictions of any detector: metrics with intervals, per generator, with a report
#[derive(Clone, Debug, Args)]
#[command(after_help = command::help(EXAMPLES))]
pub struct JudgeArgs {
    /// Files of predictions: .csv, .tsv, .txt, .jsonl or .parquet. Each row has a `path` (or `id`, or the BLAKE3 `hash`
    /// of the image) and a `score`, `p_fake`, `logit` or 0/1 `verdict`, and may have `label`, `generator`, `split`,
    /// `model` and `run`. A file without a header has an image and a score on each line
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub predictions: Vec<PathBuf>,
    /// The images that should have predictions, and their labels: a folder, a .zip, a .csv, a .parquet,
    /// `kaggle:owner/slug`, a folder of shards, or a run [default: the images and labels in the files]
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// The run's folder; with several detectors, the folder of their runs [default: runs/judge-NAME]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// The detector's name [default: the column `model`, or the name of the file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The split to evaluate. Rows of the split val fit the threshold and the temperature
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    pub split: String,
    /// What the scores are [default: found from their column and their values]
    #[arg(long, value_enum, value_name = "KIND")]
    pub scores: Option<Scores>,
    /// The class that a higher score stands for
    #[arg(long, value_enum, value_name = "CLASS", default_value = "fake")]
    pub higher_is: Class,
    /// The score from which an image is called fake [default: 0.5; 0 for logits; what the file's verdicts use]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub threshold: Option<f64>,
    /// Whose labels count if those of the file and of the source differ [default: they must agree]
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub labels: Option<LabelsOf>,
    /// The largest share of images without a prediction, and of rows that match no image
    #[arg(long, value_name = "SHARE", default_value_t = Config::default().max_missing)]
    pub max_missing: f64,
    /// The column of a role: path, id, score, probability, logit, verdict, label, generator, split, model or run
    /// (repeatable)
    #[arg(long = "column", value_name = "ROLE=NAME")]
    pub columns: Vec<String>,
    /// Columns of the files by whose cells the report also groups the scores, e.g. --report-columns camera,platform
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub report_columns: Vec<String>,
    /// Replace the start of each path that starts with OLD (repeatable)
    #[arg(long, value_name = "OLD=NEW")]
    pub replace_prefix: Vec<String>,
    /// The class of a folder of the source, e.g. --source-label adm=fake (repeatable)
    #[arg(long, value_name = "FOLDER=CLASS")]
    pub source_label: Vec<String>,
    /// The generator of all fakes of the source
    #[arg(long, value_name = "NAME")]
    pub generator: Option<String>,
    /// Compare the fakes of a generator with the real images that name it, in place of all real images
    #[arg(long)]
    pub own_reals: bool,
    /// Number of bootstrap resamples
    #[arg(long, value_name = "N", default_value_t = evaluate::bootstrap::DEFAULT_RESAMPLES)]
    pub resamples: u32,
    /// Seed of the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Number of examples of each kind and class in the report; they need --data
    #[arg(long, value_name = "N", default_value_t = Config::default().examples)]
    pub examples: usize,
    /// Also print the scores as a table, and the ROC-AUC of each generator
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub table: Option<TableFormat>,
    /// Judge again even if the result is up to date
    #[arg(long)]
    pub force: bool,
    /// Print the folders of the runs as one line of JSON
    #[arg(long, hide = true)]
    pub print_runs: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask judge --predictions univfd.csv --data photos
      with a file univfd.csv such as
        path,score
        test/0_real/1.jpg,0.0213
        test/1_fake/2.png,0.9871
      writes runs/judge-univfd with a report. Labels and generators come from the folders of photos

  cargo xtask judge --predictions ours.csv theirs.csv --data photos --run-dir runs/paper
      judges both, and compares them in runs/paper/compare

  cargo xtask judge --predictions scores.txt --data photos --higher-is real
      for a detector whose high scores mean real

  cargo xtask compare runs/judge-univfd runs/demo
      compares with a detector of Candling that was evaluated on the same images

docs/judge.md explains what is read, and what happens to rows that do not fit.";

/// What the scores of a file are.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Scores {
    /// P(fake)
    Probabilities,
    /// Logits, with 0 as the threshold
    Logits,
    /// Numbers without a scale
    Unbounded,
    /// 0 or 1
    Verdicts,
}

/// A class.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Class {
    /// Generated images
    Fake,
    /// Photographs
    Real,
}

/// Whose labels count.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LabelsOf {
    /// Those of the file of predictions
    File,
    /// Those of the source of images
    Source,
}

impl JudgeArgs {
    fn request(&self) -> Result<Request, Error> {
        let usage = |text: String| Error::Usage(text);
        if !(0.0..=1.0).contains(&self.max_missing) {
            return Err(usage(format!("--max-missing {} is not a share from 0 to 1", self.max_missing)));
        }
        let split = Split::from_name(&self.split)
            .ok_or_else(|| usage(format!("--split {} is not train, val or test", self.split)))?;
        let mut source_labels = BTreeMap::new();
        for (folder, class) in pairs(&self.source_label, "--source-label")? {
            let label = Label::from_name(&class)
                .ok_or_else(|| usage(format!("--source-label {folder}={class}: the class is real or fake")))?;
            source_labels.insert(folder, label);
        }
        let config = Config {
            data: self.data.clone(),
            split,
            scores: self.scores.map(|kind| match kind {
                Scores::Probabilities => ScoreKind::Probabilities,
                Scores::Logits => ScoreKind::Logits,
                Scores::Unbounded => ScoreKind::Unbounded,
                Scores::Verdicts => ScoreKind::Verdicts,
            }),
            higher_is: match self.higher_is {
                Class::Fake => Label::Fake,
                Class::Real => Label::Real,
            },
            threshold: self.threshold,
            labels: match self.labels {
                None => LabelPolicy::Agree,
                Some(LabelsOf::File) => LabelPolicy::File,
                Some(LabelsOf::Source) => LabelPolicy::Source,
            },
            max_missing: self.max_missing,
            columns: pairs(&self.columns, "--column")?.into_iter().collect(),
            report_columns: self.report_columns.clone(),
            replace_prefix: pairs(&self.replace_prefix, "--replace-prefix")?,
            source_labels,
            generator: self.generator.clone(),
            own_reals: self.own_reals,
            resamples: self.resamples,
            seed: self.seed,
            examples: self.examples,
            ..Config::default()
        };
        Ok(Request {
            predictions: self.predictions.clone(),
            run_dir: self.run_dir.clone(),
            name: self.name.clone(),
            force: self.force,
            config,
        })
    }
}

/// Splits the values of a repeated option `KEY=VALUE`.
fn pairs(values: &[String], option: &str) -> Result<Vec<(String, String)>, Error> {
    let split = |value: &String| match value.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err(Error::Usage(format!("{option} {value}: there is no `=`"))),
    };
    values.iter().map(split).collect()
}

/// Evaluates the files of predictions, and prints the scores.
///
/// # Errors
/// The arguments or the files are not valid.
pub fn judge(args: &JudgeArgs) -> Result<(), Failure> {
    let judged = run::judge(&args.request()?)?;
    for run in &judged {
        print_run(run);
    }
    if let Some(format) = args.table {
        print_tables(&judged, format)?;
    }
    if args.print_runs {
        stage::print_json(&judged.iter().map(|run| run.run.path()).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn print_tables(judged: &[JudgedRun], format: TableFormat) -> Result<(), Failure> {
    let mut coverage: Vec<String> = judged
        .iter()
        .filter_map(|run| run.metrics.judged.as_ref())
        .map(|judged| format!("{} of {}", judged.predicted(), judged.images))
        .collect();
    // Detectors that cover the same images are named once.
    coverage.dedup();
    let dataset = judged.first().map_or("", |run| run.metrics.dataset.as_str());
    let images = format!("{} images of {dataset}", coverage.join(", "));
    let detectors: Vec<_> = judged.iter().map(|run| (name_of(run), &run.metrics)).collect();
    stage::print_text(&tables(&detectors, &images, format)).map(drop)
}

fn name_of(run: &JudgedRun) -> &str {
    run.metrics.judged.as_ref().map_or("", |judged| judged.model.as_str())
}

fn print_run(run: &JudgedRun) {
    let metrics = &run.metrics;
    let Some(judged) = &metrics.judged else { return };
    line(&format!("judge: {}: {}", judged.model, judged.coverage()));
    line(&format!("judge:   {}", scores_text(judged)));
    let value = |key: &str| {
        let metric = Metric::by_key(key)?;
        let value = metric.value(&metrics.headline)?;
        let interval = metrics.intervals.get(key).map_or(String::new(), interval_text);
        Some(format!("{} {value:.4}{interval}", metric.name))
    };
    let values: Vec<String> = ["roc_auc", "accuracy", "balanced_accuracy"].into_iter().filter_map(value).collect();
    line(&format!("judge:   {}", values.join(", ")));
    let notes = [
        (judged.repeated.count, "rows repeat an earlier row and were left out"),
        (judged.not_finite.count, "rows have no finite score, and their images count as without a prediction"),
        (judged.other_splits.count, "rows are for images of other splits and were left out"),
        (judged.identical.count, "images are copies of an earlier image and were left out"),
        (judged.unlabelled.count, "images have no label and were left out"),
    ];
    for (count, text) in notes.into_iter().filter(|(count, _)| *count > 0) {
        line(&format!("judge:   {count} {text}"));
    }
    if judged.probably_reversed {
        let other = if judged.higher_is == Label::Fake { "real" } else { "fake" };
        line(&format!(
            "judge:   warning: ROC-AUC is far below 0.5; do high scores mean {other}? If so, say --higher-is {other}"
        ));
    }
    let dir = run.run.evaluate();
    line(&format!("judge:   {} {}", if run.is_new { "wrote" } else { "up to date:" }, dir.display()));
}

fn interval_text(interval: &Interval) -> String {
    format!(" ({:.4} to {:.4})", interval.low, interval.high)
}

fn scores_text(judged: &Judged) -> String {
    let kind = match judged.scores {
        ScoreKind::Probabilities => "the scores are probabilities",
        ScoreKind::Logits => "the scores are logits",
        ScoreKind::Unbounded => "the scores are numbers without a scale",
        ScoreKind::Verdicts => return "the file has verdicts and no scores".to_owned(),
    };
    let from = match judged.threshold_from {
        ThresholdSource::Default => "",
        ThresholdSource::Option => " (--threshold)",
        ThresholdSource::Verdicts => " (from the file's verdicts)",
        ThresholdSource::Validation => " (chosen on the validation rows)",
    };
    format!("{kind}; threshold {}{from}", judged.threshold.unwrap_or_default())
}
