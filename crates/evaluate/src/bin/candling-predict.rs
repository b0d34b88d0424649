//! The program `candling-predict`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use artifacts::failure::print_text;
use artifacts::progress::line;
use artifacts::stage::{self, Failure};
use artifacts::{Checkpoint, Manifest, RunDir, names};
use clap::Parser;
use evaluate::Detector;
use evaluate::predict::{Calibration, Judge, Search, Style, TrainingProfile, Uncalibrated};
use model::PrecisionChoice;
use model::device::DeviceChoice;

/// Compute P(fake) and a verdict for image files: real, fake or inconclusive.
///
/// The verdict is based on P(fake) after calibration on the validation split, which the table shows. JSON and CSV have
/// it as p_fake_calibrated, and the uncalibrated value as p_fake. Both are equal to those in predictions.parquet.
/// The table has a line with statements in a file about its origin (generator parameters, IPTC DigitalSourceType,
/// Content Credentials); JSON and CSV have them as `declares`. They do not influence the verdict, and their absence
/// proves nothing.
///
/// Exit codes: 0 all files have a verdict, 1 the program failed, 2 wrong usage, 3 the model is missing or damaged, or
/// some files have an error instead of a verdict.
#[derive(Parser)]
#[command(name = "candling-predict", version)]
struct Args {
    /// Files and folders; `-` reads an image, or a list of paths that are separated by line breaks or zero bytes, from
    /// standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The run whose model is used [default: the latest under `runs`]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// The checkpoint: best, last, or the folder of a checkpoint
    #[arg(long, value_name = "CKPT", default_value = "best")]
    ckpt: String,
    /// Print one JSON object per line (the default if standard output is not a terminal)
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values
    #[arg(long)]
    csv: bool,
    /// Write a Grad-CAM overlay of each image, and legend.png, to this folder
    #[arg(long, value_name = "DIR")]
    explain: Option<PathBuf>,
    /// The layer whose activations the overlays show
    #[arg(long, value_name = "LAYER", default_value = "layer4")]
    layer: String,
    /// The number of images in a batch
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
    /// The device to compute on: auto, cpu or `cuda[:N]`
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,
    /// Element type of convolutions: auto (f32 on CPUs, the fastest on GPUs), f32, bf16, or tf32 on GPUs
    #[arg(long, value_name = "NAME", default_value_t)]
    precision: PrecisionChoice,
}

fn main() -> ExitCode {
    let args = Args::parse();
    stage::finish("predict", run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    // The search runs on its own thread while the model is loaded.
    let mut search = Search::start(args.paths.clone());
    let mut judge = load_judge(args)?;
    let style = style(args);
    if let Some(header) = style.header() {
        // JSON and CSV have the model in each row.
        if style == Style::Table {
            line(&format!("predict: model {}", judge.detector.weights().short()));
        }
        print_text(&format!("{header}\n"))?;
    }
    let (mut judged, mut failed, mut stdout_open) = (0_usize, 0_usize, true);
    loop {
        let found = search.batch();
        if found.is_empty() {
            break;
        }
        for row in judge.rows(&found)? {
            judged += 1;
            failed += usize::from(row.error.is_some());
            stdout_open &= print_text(&format!("{}\n", style.row(&row)))?;
        }
        if !stdout_open {
            return Ok(());
        }
    }
    if failed > 0 {
        return Err(Failure::input(format!("{failed} of {judged} files have no verdict; their rows state the error")));
    }
    if judged == 0 {
        return Err(Failure::input("found no images in the given paths"));
    }
    Ok(())
}

/// Loads the model and everything else that verdicts depend on.
fn load_judge(args: &Args) -> Result<Judge, Failure> {
    let run = find_run(args)?;
    let checkpoint = checkpoint(args, run.as_ref())?;
    let device = args.device.open(args.precision).map_err(|error| evaluate::Error::Model(error.into()))?;
    let detector = Detector::open(&checkpoint, &device)?;
    line(&format!("predict: {} on {device}", checkpoint.path().display()));
    let mut recipe = detector.recipe()?;
    // The limit on pixels is the only part of the recipe that a checkpoint does not store.
    if let Some(manifest) = run.as_ref().and_then(|run| Manifest::read(&run.ingest()).ok()?) {
        recipe.max_pixels = manifest.config["max_pixels"].as_u64().unwrap_or(recipe.max_pixels);
    }
    let calibration = match &run {
        Some(run) => Calibration::of_run(run, detector.weights())?,
        None => Err(Uncalibrated::NotEvaluated),
    };
    if let Err(why) = calibration {
        line(&format!("predict: P(fake) is not calibrated, so verdicts use the threshold 0.5: {why}"));
    }
    line(
        "predict: statements in a file about its origin (generator parameters, IPTC, C2PA) are shown, but do not \
         influence the verdict; their absence proves nothing",
    );
    let profile = run.as_ref().map(TrainingProfile::of_run).unwrap_or_default();
    if let Some(dir) = &args.explain {
        detector.check_layer(&args.layer)?;
        std::fs::create_dir_all(dir).map_err(artifacts::Error::io("create", dir))?;
        evaluate::explain::write_legend(dir)?;
        line(&format!(
            "predict: overlays are in `{}`; brighter pixels are stronger evidence for the class in the file name (see \
             legend.png)",
            dir.display()
        ));
    }
    let explain = args.explain.clone().map(|dir| (dir, args.layer.clone()));
    Ok(Judge { detector, recipe, calibration, profile, batch: args.batch, explain })
}

/// Returns the run that has the ingest manifest and the evaluations: the one given with `--run-dir`, or the one that
/// contains the checkpoint given by path, or else the latest. A checkpoint need not be in a run.
///
/// # Errors
/// There is no folder `--run-dir`.
fn find_run(args: &Args) -> Result<Option<RunDir>, artifacts::Error> {
    if let Some(dir) = &args.run_dir {
        let missing = || artifacts::Error::Missing {
            artifact: "run".to_owned(),
            path: dir.clone(),
            advice: "give another run with --run-dir, or a checkpoint with --ckpt".to_owned(),
        };
        return if dir.is_dir() { Ok(Some(RunDir::new(dir))) } else { Err(missing()) };
    }
    if Checkpoint::by_name(&args.ckpt).is_some() {
        return Ok(RunDir::latest(Path::new(names::RUNS)).ok());
    }
    // RUN/train/run-0/best
    let checkpoint = Path::new(&args.ckpt).canonicalize().ok();
    let run = checkpoint.and_then(|checkpoint| checkpoint.ancestors().nth(3).map(RunDir::new));
    Ok(run.filter(|run| run.ingest().is_dir()))
}

fn checkpoint(args: &Args, run: Option<&RunDir>) -> Result<Checkpoint, Failure> {
    let Some(checkpoint_of) = Checkpoint::by_name(&args.ckpt) else {
        return Ok(Checkpoint::new(&args.ckpt));
    };
    let error = || Failure::input("there is no run under `runs`; give one with --run-dir, or a checkpoint with --ckpt");
    Ok(checkpoint_of(&run.ok_or_else(error)?.train_run(0)))
}

fn style(args: &Args) -> Style {
    match (args.json, args.csv) {
        (true, _) => Style::Json,
        (_, true) => Style::Csv,
        _ if std::io::stdout().is_terminal() => Style::Table,
        _ => Style::Json,
    }
}
