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
use evaluate::predict::{Calibration, Judge, Preprocessing, Search, Style, TrainingProfile, Uncalibrated};
use model::PrecisionChoice;
use model::device::DeviceChoice;

/// P(fake) and a verdict for pictures: real, fake or inconclusive.
///
/// The table shows P(fake) after the calibration on validation, which the verdict rests on; JSON and CSV have it as
/// p_fake_calibrated, beside the network's own p_fake. Both are those of predictions.parquet to the last digit. What a file
/// declares about itself (a generator's parameters, IPTC's DigitalSourceType, Content Credentials) is a line of its own, and
/// `declares` in JSON and CSV: it is evidence apart from the verdict, and its absence proves nothing.
///
/// Exit codes: 0 every file was judged, 1 the program failed, 2 wrong usage, 3 the model is missing or damaged, or some files
/// could not be judged (each is a row with its error).
#[derive(Parser)]
#[command(name = "candling-predict", version)]
struct Args {
    /// Files and folders; - reads standard input: a picture, or a list of paths, one a line or each ended by a zero byte
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The run whose model judges [default: the latest under `runs`]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// The checkpoint: best, last, or the folder of one
    #[arg(long, value_name = "CKPT", default_value = "best")]
    ckpt: String,
    /// One JSON object a line (the default where standard output is not a terminal)
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Comma-separated values
    #[arg(long)]
    csv: bool,
    /// Write an overlay of where the evidence is for each picture into this folder, and legend.png
    #[arg(long, value_name = "DIR")]
    explain: Option<PathBuf>,
    /// The layer that overlays look at
    #[arg(long, value_name = "LAYER", default_value = "layer4")]
    layer: String,
    /// Images in a batch
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
    /// Where to compute: auto, cpu or `cuda[:N]`
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,
    /// What convolutions multiply: auto (f32 on the CPU, a card's best), f32, bf16 or, on a card, tf32
    #[arg(long, value_name = "NAME", default_value_t)]
    precision: PrecisionChoice,
}

fn main() -> ExitCode {
    let args = Args::parse();
    stage::finish("predict", run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    // It goes on beside all that follows.
    let mut search = Search::start(args.paths.clone());
    let mut judge = judge(args)?;
    let style = style(args);
    if let Some(header) = style.header() {
        // Each row of the other styles names the model; a table's reader wants it once.
        if style == Style::Table {
            line(&format!("predict: model {}", judge.detector.weights().short()));
        }
        print_text(&format!("{header}\n"))?;
    }
    let (mut judged, mut failed, mut open) = (0_usize, 0_usize, true);
    loop {
        let found = search.batch();
        if found.is_empty() {
            break;
        }
        for row in judge.rows(&found)? {
            judged += 1;
            failed += usize::from(row.error.is_some());
            open &= print_text(&format!("{}\n", style.row(&row)))?;
        }
        if !open {
            return Ok(());
        }
    }
    if failed > 0 {
        return Err(Failure::input(format!("{failed} of {judged} files could not be judged")));
    }
    if judged == 0 {
        return Err(Failure::input("no image was found in what was given"));
    }
    Ok(())
}

fn judge(args: &Args) -> Result<Judge, Failure> {
    let run = run_of(args)?;
    let checkpoint = checkpoint(args, run.as_ref())?;
    let device = args.device.open(args.precision).map_err(evaluate::Error::from)?;
    let detector = Detector::open(&checkpoint, &device)?;
    line(&format!("predict: {} on {device}", checkpoint.path().display()));
    let mut preprocessing = Preprocessing::of(detector.preprocessing(), checkpoint.path()).map_err(Failure::input)?;
    // A model may be used without the data it was trained on; its checkpoint says the rest.
    if let Some(manifest) = run.as_ref().and_then(|run| Manifest::read(&run.ingest()).ok()?) {
        preprocessing = preprocessing.after_ingest(&manifest);
    }
    let calibration = match &run {
        Some(run) => Calibration::of_run(run, detector.weights())?,
        None => Err(Uncalibrated::NotEvaluated),
    };
    if let Err(why) = calibration {
        line(&format!("predict: P(fake) is not calibrated, and the verdict is forced at 0.5: {why}"));
    }
    line(
        "predict: what a file says of how it was made (generator parameters, IPTC, C2PA) is shown beside the verdict, which does \
         not rest on it; that a file says nothing proves nothing",
    );
    // Without the training data there is nothing to be unlike.
    let profile = run.as_ref().map(TrainingProfile::of_run).unwrap_or_default();
    if let Some(dir) = &args.explain {
        detector.check_layer(&args.layer)?;
        std::fs::create_dir_all(dir).map_err(artifacts::Error::io("create", dir))?;
        evaluate::explain::write_legend(dir)?;
        line(&format!(
            "predict: overlays in `{}`: the brighter, the more speaks for the class in the file's name (legend.png)",
            dir.display()
        ));
    }
    let explain = args.explain.clone().map(|dir| (dir, args.layer.clone()));
    Ok(Judge { detector, preprocessing, calibration, profile, batch: args.batch, explain })
}

/// The run that says how images are prepared: the one that is named, else the one that the checkpoint lies in, which need not
/// be in a run, else the latest.
///
/// # Errors
/// No folder where one is named.
fn run_of(args: &Args) -> Result<Option<RunDir>, artifacts::Error> {
    if let Some(dir) = &args.run_dir {
        let missing = || artifacts::Error::Missing {
            artifact: "run".to_owned(),
            path: dir.clone(),
            advice: "name another with --run-dir, or a checkpoint with --ckpt".to_owned(),
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
    let Some(of) = Checkpoint::by_name(&args.ckpt) else {
        return Ok(Checkpoint::new(&args.ckpt));
    };
    let none = || Failure::input("there is no run under `runs`; name one with --run-dir, or a checkpoint with --ckpt");
    Ok(of(&run.ok_or_else(none)?.train_run(0)))
}

fn style(args: &Args) -> Style {
    match (args.json, args.csv) {
        (true, _) => Style::Json,
        (_, true) => Style::Csv,
        _ if std::io::stdout().is_terminal() => Style::Table,
        _ => Style::Json,
    }
}
