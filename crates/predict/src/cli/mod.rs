//! The command lines of `predict` and `verify`.

mod model_args;
mod verify;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use artifacts::atomic;
use artifacts::command;
use artifacts::failure::print_text;
use artifacts::progress::{Progress, line};
use artifacts::stage::Failure;
use artifacts::text::shell_word;
use clap::Args;
use provenance::TrustList;

use crate::batch::Batch;
use crate::check::{Check, CheckOptions};
use crate::error::Error;
use crate::files::Found;
use crate::judge::Judge;
use crate::open::BATCH;
use crate::print::Style;
use crate::record::Record;
use crate::search::Search;

pub use model_args::ModelArgs;
pub use verify::{VerifyArgs, verify};

/// Look for traces of generation in image files: P(fake) and a verdict for each.
///
/// The verdict is "traces of generation", "inconclusive" or "no traces found". JSON and CSV have it as fake, inconclusive
/// or real; the absence of traces does not prove that a picture is real. The verdict is based on P(fake) after calibration on the validation split, which the table shows. JSON and CSV have
/// it as p_fake_calibrated, and the uncalibrated value as p_fake. Both are equal to those in predictions.parquet.
/// The table has a line with statements in a file about its origin (generator parameters, IPTC DigitalSourceType,
/// Content Credentials); JSON and CSV have them as `declares`. They do not influence the verdict, and their absence
/// proves nothing.
///
/// In a folder and its subfolders, files with the ending of an image (.jpg, .png, …) have a row each, and so have other
/// files whose content is an image that can be read. The rest is counted in a line on standard error. Files and folders
/// whose names begin with a dot are hidden: they are left out and counted, unless they are given by name. URLs are not
/// read.
///
/// Exit codes: 0 all files have a verdict, 1 the program failed, 2 wrong usage, 3 the model is missing or damaged, or
/// some files have an error instead of a verdict.
#[derive(Clone, Debug, Args)]
pub struct PredictArgs {
    /// Files and folders; `-` reads an image, or a list of paths that are separated by line breaks or zero bytes, from
    /// standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Print one JSON object per line (the default if standard output is not a terminal)
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print comma-separated values
    #[arg(long)]
    pub csv: bool,
    /// Write a Grad-CAM overlay of each image, and legend.png, to this folder
    #[arg(long, value_name = "DIR")]
    pub explain: Option<PathBuf>,
    /// The layer whose activations the overlays show
    #[arg(long, value_name = "LAYER", default_value = CheckOptions::LAYER)]
    pub layer: String,
    /// The number of images in a batch
    #[arg(long, value_name = "N", default_value_t = BATCH)]
    pub batch: usize,
    /// Also compute P(fake) of copies that are encoded, scaled and cropped a little; a verdict that changes becomes
    /// inconclusive
    #[arg(long)]
    pub stability: bool,
    /// Certificates in PEM of the signers of Content Credentials that are trusted, or of their authorities
    #[arg(long, value_name = "PEM")]
    pub trust_list: Option<PathBuf>,
    /// Write a record with which `verify` repeats the verdict: one JSON object for one picture, one a line for several
    #[arg(long, value_name = "FILE", conflicts_with = "batch_dir")]
    pub record: Option<PathBuf>,
    /// Write results.csv and a contact sheet (index.html) of the pictures to this folder, and print no rows; the same
    /// command continues a batch that was killed
    #[arg(long, value_name = "DIR", conflicts_with_all = ["json", "csv", "explain"])]
    pub batch_dir: Option<PathBuf>,
}

/// Prints a row for each image in the paths.
///
/// # Errors
/// The model cannot be loaded or run, an overlay cannot be written, or some files have no verdict.
pub fn predict(args: &PredictArgs) -> Result<(), Failure> {
    // The search runs on its own thread while the model is loaded.
    let mut search = Search::start(args.paths.clone());
    let mut judge = args.model.open()?;
    judge.batch = args.batch;
    let options = args.options()?;
    if let Some(dir) = &args.explain {
        prepare_overlays(&judge, dir, &args.layer)?;
    }
    if let Some(dir) = &args.batch_dir {
        return run_batch(&mut judge, search, &options, dir);
    }
    let style = style(args);
    if let Some(header) = style.header() {
        // JSON and CSV have the model in each row.
        if style == Style::Table {
            line(&format!("predict: model {}", judge.detector.weights().short()));
        }
        print_text(&format!("{header}\n"))?;
    }
    let (mut judged, mut failed) = (0_usize, 0_usize);
    let mut records = Vec::new();
    // Rows on a terminal show the progress themselves.
    let progress = (!std::io::stdout().is_terminal()).then(|| Progress::new("predict", "pictures", None));
    loop {
        let batch = search.batch();
        if batch.is_empty() {
            break;
        }
        if let Some((progress, total)) = progress.as_ref().zip(search.total()) {
            progress.set_total(total as u64);
        }
        // The last digits may depend on the other images of a batch. A record must be repeatable with its picture alone.
        let at_once = if args.record.is_some() { Some(1) } else { judge.at_once(&options) };
        for found in batch.chunks(at_once.unwrap_or(batch.len())) {
            let mut stdout_open = true;
            for mut check in judge.checks(found, &options)? {
                if let Some(dir) = &args.explain {
                    write_overlays(dir, &mut check)?;
                }
                if args.record.is_some() {
                    records.push(Record::of(&judge, &check, &options));
                }
                judged += 1;
                failed += usize::from(check.row.error.is_some());
                stdout_open &= print_text(&format!("{}\n", style.row(&check.row)))?;
            }
            if !stdout_open {
                return Ok(());
            }
            progress.iter().for_each(|progress| progress.add(found.len() as u64));
        }
    }
    progress.iter().for_each(Progress::clear);
    print_left_out(&search);
    if let Some(path) = &args.record {
        write_records(path, &records)?;
    }
    if failed > 0 {
        return Err(Failure::input(format!("{failed} of {judged} files have no verdict; their rows state the error")));
    }
    if judged == 0 {
        return Err(Failure::input("found no images in the given paths"));
    }
    Ok(())
}

/// Says which files of folders were left out.
fn print_left_out(search: &Search) {
    if !search.left_out().is_empty() {
        line(&format!("predict: {}", search.left_out()));
    }
}

/// Writes one record as a file of its own, or several one a line.
fn write_records(path: &Path, records: &[Record]) -> Result<(), artifacts::Error> {
    match records {
        [record] => atomic::write_json(path, record)?,
        _ => atomic::write_lines(path, records)?,
    }
    let verify = command::line(&format!("verify {} PICTURE", shell_word(&path.to_string_lossy())));
    line(&format!("predict: `{verify}` repeats a verdict"));
    Ok(())
}

/// Computes the pictures that a batch does not have yet, and writes its table and its contact sheet.
fn run_batch(judge: &mut Judge, mut search: Search, options: &CheckOptions, dir: &Path) -> Result<(), Failure> {
    let mut batch = Batch::open(dir, judge, options)?;
    let (known, options) = (batch.done(), Batch::options(options));
    if known > 0 {
        line(&format!("predict: `{}` has {known} results, which are kept", dir.display()));
    }
    let batches = std::iter::from_fn(|| Some(search.batch()).filter(|found| !found.is_empty()));
    let found: Vec<Found> = batches.flatten().filter(|found| batch.is_new(found)).collect();
    print_left_out(&search);
    let progress = Progress::new("predict", "pictures", Some(found.len() as u64));
    let (mut computed, mut failed) = (0_usize, 0_usize);
    // Results are on disk after each few pictures.
    for found in found.chunks(BATCH) {
        let checks = judge.checks(found, &options)?;
        batch.add(found, &checks)?;
        progress.add(checks.len() as u64);
        computed += checks.len();
        failed += checks.iter().filter(|check| check.row.error.is_some()).count();
    }
    progress.clear();
    if known + computed == 0 {
        return Err(Failure::input("found no images in the given paths"));
    }
    batch.finish()?;
    line(&format!(
        "predict: computed {computed} results ({failed} without a verdict); the contact sheet is {}",
        dir.join("index.html").display()
    ));
    Ok(())
}

impl PredictArgs {
    fn options(&self) -> Result<CheckOptions, Failure> {
        let trust = self.trust_list.as_deref().map(TrustList::read).transpose().map_err(Failure::input)?;
        Ok(CheckOptions {
            trust,
            explain: self.explain.is_some(),
            layer: self.layer.clone(),
            stability: self.stability,
            picture: None,
        })
    }
}

/// Makes the folder of overlays, with the legend.
fn prepare_overlays(judge: &Judge, dir: &Path, layer: &str) -> Result<(), Error> {
    judge.detector.check_layer(layer)?;
    std::fs::create_dir_all(dir).map_err(artifacts::Error::io("create", dir))?;
    evaluate::explain::write_legend(dir)?;
    line(&format!(
        "predict: overlays are in `{}`; brighter pixels are stronger evidence for the class in the file name (see \
         legend.png)",
        dir.display()
    ));
    Ok(())
}

/// Writes the overlays of a picture to a folder, and their paths to its row.
fn write_overlays(dir: &Path, check: &mut Check) -> Result<(), Error> {
    for overlay in &check.overlays {
        let path = dir.join(&overlay.name);
        atomic::write_file(&path, &overlay.png)?;
        let path = path.to_string_lossy().into_owned();
        if let Some(branch) = &overlay.branch {
            check.row.explanations.insert(branch.clone(), path.clone());
        }
        check.row.explanation.get_or_insert(path);
    }
    Ok(())
}

fn style(args: &PredictArgs) -> Style {
    match (args.json, args.csv) {
        (true, _) => Style::Json,
        (_, true) => Style::Csv,
        _ if std::io::stdout().is_terminal() => Style::Table,
        _ => Style::Json,
    }
}
