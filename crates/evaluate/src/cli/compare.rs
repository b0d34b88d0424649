//! Compares runs, and writes `compare.json` and thumbnails of images with different verdicts.

use std::fs::File;
use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::progress::line;
use artifacts::schema::{Bootstrap, Comparison, Pair};
use artifacts::stage::{self, Failure};
use clap::Args;

use crate::result_table::{DetectorScores, ResultTable, TableFormat};
use crate::{bootstrap, compare as comparison};

/// Compare detectors on the images that all of them were evaluated on: DeLong's test for ROC-AUC, McNemar's test for
/// accuracy, and bootstrap intervals of all differences
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// Runs, or folders of evaluations such as runs/demo/evaluate-faces; RUN:K selects training run K, 0 by default.
    /// NAME=RUN gives a run the name that tables and the page show, such as ours=runs/demo
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub runs: Vec<String>,
    /// The folder to write compare.json to
    #[arg(long, value_name = "DIR", default_value = Comparison::DEFAULT_DIR)]
    pub out: PathBuf,
    /// Number of bootstrap resamples
    #[arg(long, value_name = "N", default_value_t = bootstrap::DEFAULT_RESAMPLES)]
    pub resamples: u32,
    /// Seed of the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Print the result as one line of JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Also print the scores as a table
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    pub table: Option<TableFormat>,
}

/// Writes `compare.json`, and prints the result.
///
/// # Errors
/// The folder of the result holds other files, or the runs cannot be compared.
pub fn compare(args: &CompareArgs) -> Result<(), Failure> {
    check_out(&args.out)?;
    let _lock = lock(&args.out)?;
    // Another process may have written the folder before the lock was free.
    check_out(&args.out)?;
    let mut detectors = Vec::new();
    for argument in &args.runs {
        let (name, argument) = parse_name(argument);
        let (path, run) = parse_run(argument);
        let mut detector = comparison::read(&path, run)?;
        name.unwrap_or(argument).clone_into(&mut detector.name);
        detectors.push(detector);
    }
    comparison::align(&mut detectors)?;
    let bootstrap = Bootstrap { resamples: args.resamples, seed: args.seed, level: 0.95 };
    let mut comparison = comparison::compare(&detectors, bootstrap)?;
    let writer = DirWriter::create(&args.out)?;
    comparison::write_thumbnails(writer.path(), &detectors, &mut comparison.disagreements)?;
    atomic::write_json(&writer.path().join(Comparison::FILE), &comparison)?;
    writer.publish()?;
    if args.json {
        stage::print_json(&comparison)?;
    } else {
        print_summary(&comparison);
    }
    if let Some(format) = args.table {
        stage::print_text(&table_text(&comparison, format))?;
    }
    line(&format!("compare: wrote {}", args.out.join(Comparison::FILE).display()));
    Ok(())
}

fn table_text(comparison: &Comparison, format: TableFormat) -> String {
    let scores: Vec<DetectorScores<'_>> = comparison
        .detectors
        .iter()
        .map(|detector| DetectorScores {
            name: &detector.name,
            scores: &detector.scores,
            intervals: &detector.intervals,
        })
        .collect();
    ResultTable::of_detectors(&scores, &format!("{} images in common", comparison.images)).text(format)
}

/// Locks a file beside the folder of the result, so that no second process writes into it.
fn lock(out: &Path) -> Result<File, Failure> {
    atomic::try_lock(&atomic::hidden_sibling(out, "lock"))?.ok_or_else(|| {
        Failure::failed(format!(
            "another process is comparing into `{}`; wait for it, or name another folder with --out",
            out.display()
        ))
    })
}

/// Refuses a folder that holds other files, because the result replaces the folder.
fn check_out(out: &Path) -> Result<(), Failure> {
    let holds_files = std::fs::read_dir(out).is_ok_and(|mut files| files.next().is_some());
    if out.is_file() || (holds_files && !out.join(Comparison::FILE).exists()) {
        return Err(Failure::usage(format!(
            "`{}` is not a comparison and would be replaced; name another folder with --out",
            out.display()
        )));
    }
    Ok(())
}

/// Splits `NAME=RUN` into the name and the run. A folder whose name has a `=` has no other name.
fn parse_name(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once('=') {
        Some((name, run)) if !name.trim().is_empty() && !parse_run(argument).0.exists() => (Some(name.trim()), run),
        _ => (None, argument),
    }
}

/// Splits `RUN:K` into the folder of the run and the number of the training run, which is 0 by default.
fn parse_run(argument: &str) -> (PathBuf, usize) {
    argument
        .rsplit_once(':')
        .and_then(|(path, run)| Some((PathBuf::from(path), run.parse().ok()?)))
        .unwrap_or_else(|| (PathBuf::from(argument), 0))
}

fn print_summary(comparison: &Comparison) {
    line(&format!("{} images in common", comparison.images));
    for detector in &comparison.detectors {
        let (area, accuracy) = (decimal(detector.scores.roc_auc), decimal(detector.scores.accuracy));
        line(&format!("  {}: ROC-AUC {area}, accuracy {accuracy} ({} left out)", detector.name, detector.left_out));
    }
    for pair in &comparison.pairs {
        print_pair(comparison, pair);
    }
    line(&format!("{} images with different verdicts", comparison.disagreeing));
}

fn print_pair(comparison: &Comparison, pair: &Pair) {
    let name = |index: usize| comparison.detectors[index].name.as_str();
    line(&format!("{} against {}", name(pair.first), name(pair.second)));
    if let Some(test) = &pair.roc_auc {
        let (low, high) = (test.interval.low, test.interval.high);
        let p = p_values(test.p, test.p_holm);
        line(&format!("  ROC-AUC {:+.4} ({low:+.4} to {high:+.4}), DeLong {p}", test.difference));
    }
    let test = &pair.accuracy;
    let (first, second) = (test.only_first, test.only_second);
    let p = p_values(Some(test.p), Some(test.p_holm));
    line(&format!("  accuracy: {first} correct only for the first, {second} only for the second, McNemar exact {p}"));
}

/// Formats the p-value of a single test and the one corrected for the number of pairs.
fn p_values(own: Option<f64>, holm: Option<f64>) -> String {
    format!("p = {} ({} after Holm's correction)", decimal(own), decimal(holm))
}

fn decimal(value: Option<f64>) -> String {
    value.map_or("undefined".to_owned(), |value| format!("{value:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_before_an_equals_sign() {
        assert_eq!(parse_name("ours=runs/demo:1"), (Some("ours"), "runs/demo:1"));
        assert_eq!(parse_name("runs/demo"), (None, "runs/demo"));
        assert_eq!(parse_name("=runs/demo"), (None, "=runs/demo"));
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a=b");
        std::fs::create_dir(&folder).unwrap();
        let argument = format!("{}:2", folder.display());
        assert_eq!(parse_name(&argument), (None, argument.as_str()));
    }
}
