//! The program `candling-compare`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use artifacts::atomic::{self, DirWriter};
use artifacts::progress::line;
use artifacts::schema::{Bootstrap, Comparison, Pair};
use artifacts::stage::{self, Failure};
use clap::Parser;
use evaluate::compare;

/// Compares detectors on the images that all of them judged: DeLong's test for ROC-AUC, McNemar's for accuracy, and the
/// bootstrap of every difference.
#[derive(Parser)]
#[command(name = "candling-compare", version)]
struct Args {
    /// Runs, or folders of evaluations such as runs/demo/evaluate-faces; RUN:K is training run K of it
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<String>,
    /// The folder that the result goes to
    #[arg(long, value_name = "DIR", default_value = Comparison::DEFAULT_DIR)]
    out: PathBuf,
    /// Bootstrap resamples behind each interval
    #[arg(long, value_name = "N", default_value_t = evaluate::bootstrap::DEFAULT_RESAMPLES)]
    resamples: u32,
    /// Seed of the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    stage::finish("compare", run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    check_out(&args.out)?;
    let _lock = lock(&args.out)?;
    let mut judged = Vec::new();
    for given in &args.runs {
        let (path, run) = split(given);
        let mut entrant = compare::read(&path, run)?;
        given.clone_into(&mut entrant.name);
        judged.push(entrant);
    }
    compare::align(&mut judged)?;
    let bootstrap = Bootstrap { resamples: args.resamples, seed: args.seed, level: 0.95 };
    let comparison = compare::compare(&judged, bootstrap)?;
    let writer = DirWriter::create(&args.out)?;
    atomic::write_json(&writer.path().join(Comparison::FILE), &comparison)?;
    writer.publish()?;
    if args.json {
        stage::print_json(&comparison)?;
    } else {
        describe(&comparison);
    }
    line(&format!("compare: wrote {}", args.out.join(Comparison::FILE).display()));
    Ok(())
}

/// Keeps a second process from comparing into the same folder, by a file beside it.
fn lock(out: &Path) -> Result<File, Failure> {
    atomic::try_lock(&atomic::hidden_sibling(out, "lock"))?.ok_or_else(|| {
        Failure::failed(format!(
            "another process is comparing into `{}`; wait for it, or name another place with --out",
            out.display()
        ))
    })
}

/// Refuses a folder of something else, which would be replaced.
fn check_out(out: &Path) -> Result<(), Failure> {
    let holds_files = std::fs::read_dir(out).is_ok_and(|mut files| files.next().is_some());
    if out.is_file() || (holds_files && !out.join(Comparison::FILE).exists()) {
        return Err(Failure::usage(format!(
            "`{}` is not a comparison, and would be replaced by one; name another place with --out",
            out.display()
        )));
    }
    Ok(())
}

/// A run, and the training run in it: 0 unless one is named after a colon.
fn split(given: &str) -> (PathBuf, usize) {
    given
        .rsplit_once(':')
        .and_then(|(path, run)| Some((PathBuf::from(path), run.parse().ok()?)))
        .unwrap_or_else(|| (PathBuf::from(given), 0))
}

fn describe(comparison: &Comparison) {
    line(&format!("{} images in common", comparison.images));
    for entrant in &comparison.entrants {
        let scores = &entrant.scores;
        let (area, accuracy) = (shown(scores.roc_auc), shown(scores.accuracy));
        line(&format!("  {}: ROC-AUC {area}, accuracy {accuracy} ({} left out)", entrant.name, entrant.left_out));
    }
    for pair in &comparison.pairs {
        describe_pair(comparison, pair);
    }
    line(&format!("{} images on which the verdicts differ", comparison.disagreeing));
}

fn describe_pair(comparison: &Comparison, pair: &Pair) {
    let name = |index: usize| comparison.entrants[index].name.as_str();
    line(&format!("{} against {}", name(pair.first), name(pair.second)));
    if let Some(test) = &pair.roc_auc {
        let (low, high) = (test.interval.low, test.interval.high);
        let p = p_values(test.p, test.p_holm);
        line(&format!("  ROC-AUC {:+.4} ({low:+.4} to {high:+.4}), DeLong {p}", test.difference));
    }
    let test = &pair.accuracy;
    let (first, second) = (test.only_first, test.only_second);
    let p = p_values(Some(test.p), Some(test.p_holm));
    line(&format!("  accuracy: {first} right only here, {second} only there, McNemar exact {p}"));
}

/// The test's own p-value, and the one to go by where more than one pair is tested.
fn p_values(own: Option<f64>, holm: Option<f64>) -> String {
    format!("p = {} ({} after Holm's correction)", shown(own), shown(holm))
}

fn shown(value: Option<f64>) -> String {
    value.map_or("undefined".to_owned(), |value| format!("{value:.4}"))
}
