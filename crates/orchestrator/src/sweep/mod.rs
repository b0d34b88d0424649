//! Sweeps: trains and evaluates a pipeline with several settings, and tabulates the results.
//!
//! - `grid`: the settings of each job. `jobs`: runs them, each in a run folder of its own. `results`: reads their scores.
//! - `tables`: what is printed. `matrix`: the figure of a sweep over single generators.
//!
//! A job that is complete is not run again, so an interrupted sweep continues when the same command is given again.

mod grid;
mod jobs;
mod matrix;
mod results;
mod tables;

use std::path::PathBuf;

use artifacts::stage::{self, Failure, print_text};
use artifacts::{RunDir, atomic, command, names, progress};
use clap::Args;

use self::grid::{Dimension, Job, Protocol};
use self::results::Sweep;
use crate::args::ShortOptions;
use crate::{Programs, pipeline, tools};

/// The file with the results of a sweep.
const RESULTS: &str = "sweep.json";
/// The same results as a table.
const TABLE: &str = "sweep.csv";
/// The figure of a sweep with `--train-on-each`.
const MATRIX: &str = "matrix.svg";

/// The arguments of a sweep.
#[derive(Clone, Debug, Args)]
pub struct SweepArgs {
    /// The name of a pipeline (demo, branches, probe, full, smoke), or the path of a TOML file
    pub name: String,
    /// Override one key (repeatable). Several values, separated by commas, or a range of integers without its end,
    /// A..B, make one job each, as in --set train.learning_rate=1e-4,3e-4 --set train.seed=0..3
    #[arg(long = "set", value_name = "KEY=VALUE[,VALUE…]")]
    pub set: Vec<String>,
    /// One job for each generator of the training images: all others are trained on, and the scores are those on it
    #[arg(long)]
    pub leave_out_each: bool,
    /// One job for each generator of the training images, which is trained on it alone and scored on each
    #[arg(long, conflicts_with_all = ["leave_out_each", "few_shot"])]
    pub train_on_each: bool,
    /// One job for each number of training images of a generator, as in --few-shot sd1.5=0,10,100
    #[arg(long, value_name = "GENERATOR=N,N…", conflicts_with = "leave_out_each")]
    pub few_shot: Option<String>,
    /// Short forms of overrides.
    #[command(flatten)]
    pub short: ShortOptions,
    /// The job that all others are compared with in paired tests, by its name in the table
    #[arg(long, value_name = "JOB")]
    pub base: Option<String>,
    /// The sweep's folder [default: runs/sweep-NAME]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// At the end, print the results as one line of JSON on standard output instead of a table
    #[arg(long)]
    pub json: bool,
    /// Print the jobs, then exit
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs all jobs that are not complete, and prints their scores. Each job is a run in the folder of the sweep. The images
/// are ingested once, unless a key of `[ingest]` has several values.
///
/// # Errors
/// The arguments are not valid, or a job fails. Other jobs are run nevertheless.
pub fn run(programs: &dyn Programs, args: &SweepArgs) -> Result<(), Failure> {
    let mut dimensions = Vec::new();
    let mut fixed = Vec::new();
    for set in &args.set {
        match Dimension::of_set(set)? {
            Some(dimension) => dimensions.push(dimension),
            None => fixed.push(set.clone()),
        }
    }
    fixed.extend(args.short.sets());
    let protocol = Protocol::of(args)?;
    if protocol.is_none() && dimensions.is_empty() {
        return Err(Failure::usage(
            "the sweep has one job only; give several values, as in --set train.learning_rate=1e-4,3e-4, or \
             --leave-out-each, --train-on-each or --few-shot",
        ));
    }
    let provided = pipeline::pipeline_file(&programs.pipelines(), &args.name)?;
    let folder = match &args.run_dir {
        Some(dir) => RunDir::new(dir),
        None => {
            let stem = provided.path().file_stem().unwrap_or_default().to_string_lossy();
            RunDir::named(format!("sweep-{stem}"))
        }
    };
    let of_comparison: &[&str] = if args.base.is_some() { &tools::COMPARE } else { &[] };
    programs.prepare(&[&names::STAGES, of_comparison].concat())?;
    let plan = jobs::Plan { programs, folder: folder.path(), file: provided.path(), fixed: &fixed };
    let shares_shards = !dimensions.iter().any(Dimension::is_of_ingest);
    if protocol.is_some() && !shares_shards {
        return Err(Failure::usage("keys of [ingest] cannot vary together with generators; sweep over one of them"));
    }
    let jobs = || {
        let mut dimensions = dimensions.clone();
        if let Some(protocol) = &protocol {
            dimensions.push(protocol.dimension(&plan.generators()?)?);
        }
        all_jobs(args, &dimensions)
    };
    if protocol.is_none() {
        // These jobs are known before ingest, so that a wrong `--base` is found before anything is written.
        jobs()?;
    }
    if args.dry_run {
        if protocol.is_some() && !plan.is_ingested() {
            return Err(not_ingested(args, &plan.data()));
        }
        return print_text(&tables::plan(&jobs()?)).map(drop);
    }
    // The lock creates the folder.
    let _lock = stage::lock(&folder, "sweep")?;
    if shares_shards {
        plan.ingest()?;
    }
    let jobs = jobs()?;
    let failed = plan.run(&jobs, shares_shards)?;
    let sweep = Sweep::read(&args.name, folder.path(), &jobs, protocol.as_ref())?;
    atomic::write_json(&folder.path().join(RESULTS), &sweep)?;
    atomic::write_file(&folder.path().join(TABLE), tables::csv(&sweep).as_bytes())?;
    if args.train_on_each {
        atomic::write_file(&folder.path().join(MATRIX), matrix::svg(&sweep).as_bytes())?;
    }
    if let Some(base) = &args.base {
        compare(programs, &folder, base, &jobs)?;
    }
    if args.json {
        stage::print_json(&sweep)?;
    } else {
        print_text(&tables::text(&sweep))?;
    }
    progress::line(&format!("sweep: the results are in {}", folder.path().join(RESULTS).display()));
    match failed.len() {
        0 => Ok(()),
        count => Err(Failure::failed(format!("{count} of {} jobs failed: {}", jobs.len(), failed.join(", ")))),
    }
}

/// Returns all combinations of some choices. `--base` must be one of them.
fn all_jobs(args: &SweepArgs, dimensions: &[Dimension]) -> Result<Vec<Job>, Failure> {
    let jobs = Job::all(dimensions);
    let Some(base) = &args.base else { return Ok(jobs) };
    if jobs.iter().any(|job| job.name() == *base) {
        return Ok(jobs);
    }
    let names: Vec<String> = jobs.iter().map(Job::name).collect();
    Err(Failure::usage(format!("there is no job `{base}` for --base; the jobs are {}", names.join(", "))))
}

/// The failure of a dry run whose jobs are not known yet.
fn not_ingested(args: &SweepArgs, data: &RunDir) -> Failure {
    let ingest = command::line(&format!("pipeline {} --until ingest --run-dir {}", args.name, data.path().display()));
    Failure::input(format!(
        "the generators, and with them the jobs, are known after ingest; run the sweep without --dry-run, or `{ingest}` first"
    ))
}

/// Compares all jobs with the base in paired tests, with a correction for their number.
fn compare(programs: &dyn Programs, folder: &RunDir, base: &str, jobs: &[Job]) -> Result<(), Failure> {
    let complete = |name: &String| RunDir::new(folder.path().join(name)).evaluate().is_dir();
    let others = jobs.iter().map(Job::name).filter(|name| name != base).filter(complete);
    let runs = std::iter::once(base.to_owned()).chain(others).map(|name| folder.path().join(name).into_os_string());
    let out = ["--out".into(), folder.path().join("compare").into_os_string()];
    tools::compare(programs, runs.chain(out).collect())
}
