//! Evaluates a detector on a benchmark of the field, whose protocol is a file.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use artifacts::failure::print_text;
use artifacts::stage::Failure;
use artifacts::{RunDir, command, names};
use clap::{Args, Command};

use crate::options::{has_help_option, take_option};
use crate::provided::{Provided, ProvidedFiles};
use crate::{Programs, process, single, tools};

/// Evaluate a detector on a benchmark of the field, and say what a copy of the benchmark lacks
#[derive(Debug, Args)]
#[command(after_help = command::help(EXAMPLES))]
pub struct BenchmarkArgs {
    /// The benchmark, such as genimage, or the path of a TOML file
    #[arg(value_name = "NAME")]
    protocol: String,
    /// The folder with the images
    #[arg(long, value_name = "FOLDER")]
    root: PathBuf,
    /// The run's folder [default: runs/benchmark-NAME]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// The run whose model is evaluated
    #[arg(long, value_name = "RUN", conflicts_with = "predictions")]
    model: Option<PathBuf>,
    /// Files of predictions of any detector, as in `judge`
    #[arg(long, num_args = 1.., value_name = "FILE")]
    predictions: Vec<PathBuf>,
    /// With --predictions, further options of `judge`; with --model, of `evaluate`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    rest: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask benchmark genimage --root /data/GenImage
      says how many images there are of each generator, and what is missing or empty

  cargo xtask benchmark genimage --root /data/GenImage --predictions univfd.csv
      also evaluates the predictions of any detector, as `cargo xtask judge` does, with its options

  cargo xtask benchmark genimage --root /data/GenImage --model runs/demo
      also evaluates a model of Candling, as `cargo xtask evaluate --data` does, with its options

docs/judge.md lists the benchmarks, and explains how to add one.";

/// Lists the images of a benchmark, evaluates predictions from a file or a model of Candling on them, and makes a page
/// with the scores among published ones. Passes the other options to judge or to evaluate.
///
/// # Errors
/// The arguments, the protocol or the images are not valid, or the evaluation fails.
pub fn run(programs: &dyn Programs, mut rest: Vec<OsString>) -> Result<(), Failure> {
    if rest.is_empty() || has_help_option(&rest) {
        let mut help = BenchmarkArgs::augment_args(Command::new("benchmark").bin_name(command::line("benchmark")));
        return print_text(&help.render_help().to_string()).map(drop);
    }
    programs.prepare(&["benchmark", "benchmark-report"])?;
    let provided = protocol_file(&programs.benchmarks(), &rest.remove(0))?;
    let protocol = provided.path();
    let root = take_option(&mut rest, "--root")?
        .ok_or_else(|| Failure::usage("--root is missing: the folder with the images of the benchmark"))?;
    let name = format!("benchmark-{}", protocol.file_stem().unwrap_or_default().to_string_lossy());
    let out =
        take_option(&mut rest, "--run-dir")?.map_or_else(|| RunDir::named(&name).path().to_owned(), PathBuf::from);
    let model = take_option(&mut rest, "--model")?;
    let published = programs.published_results().folder()?;
    let mut list = programs.command("benchmark")?;
    list.arg(protocol).arg("--root").arg(root).arg("--out").arg(&out).arg("--published").arg(published.path());
    process::run(&mut list)?;
    let evaluations: Vec<PathBuf> = if let Some(model) = model {
        let evaluation = RunDir::new(&model).stage(&format!("{}-{name}", names::EVALUATE));
        let data = out.join("test.csv");
        let options = ["--run-dir".into(), model, "--data".into(), data.into(), "--name".into(), name.into()];
        single::run(programs, names::EVALUATE, options.into_iter().chain(rest).collect())?;
        vec![evaluation]
    } else if rest.iter().any(|arg| arg.to_string_lossy().starts_with("--predictions")) {
        let images = out.join("images.csv");
        rest.extend(["--data".into(), images.into(), "--own-reals".into(), "--run-dir".into(), out.clone().into()]);
        tools::judge(programs, rest)?.iter().map(RunDir::evaluate).collect()
    } else {
        return Ok(());
    };
    process::run(programs.command("benchmark-report")?.arg(out).args(evaluations))
}

/// Returns the file of a protocol: `name` itself if it ends in `.toml`, otherwise the provided file with this name.
fn protocol_file(provided: &ProvidedFiles, name: &OsStr) -> Result<Provided, Failure> {
    if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        return Ok(Provided::at(name));
    }
    let name = name.to_string_lossy();
    provided.open(&name)?.ok_or_else(|| {
        let names = provided.names().join(", ");
        Failure::usage(format!("there is no benchmark `{name}`; there are {names}, and paths of .toml files"))
    })
}
