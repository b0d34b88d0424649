//! Evaluates a detector on a benchmark of the field, whose protocol is a file.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use artifacts::stage::Failure;
use artifacts::{RunDir, names};

use crate::options::{has_help_option, take_option};
use crate::provided::{ProvidedFile, ProvidedFiles};
use crate::{Programs, process, single, tools};

/// Lists the images of a benchmark, and evaluates predictions from a file or a model of Candling on them. Passes the
/// other options to judge or to evaluate.
///
/// # Errors
/// The arguments, the protocol or the images are not valid, or the evaluation fails.
pub fn run(programs: &dyn Programs, mut rest: Vec<OsString>) -> Result<(), Failure> {
    programs.prepare(&["benchmark"])?;
    if rest.is_empty() || has_help_option(&rest) {
        return process::run(programs.command("benchmark")?.arg("--help"));
    }
    let provided = protocol_file(&programs.benchmarks(), &rest.remove(0))?;
    let protocol = provided.path();
    let root = take_option(&mut rest, "--root")?
        .ok_or_else(|| Failure::usage("--root is missing: the folder with the images of the benchmark"))?;
    let name = format!("benchmark-{}", protocol.file_stem().unwrap_or_default().to_string_lossy());
    let out =
        take_option(&mut rest, "--run-dir")?.map_or_else(|| RunDir::named(&name).path().to_owned(), PathBuf::from);
    let model = take_option(&mut rest, "--model")?;
    process::run(programs.command("benchmark")?.arg(protocol).arg("--root").arg(root).arg("--out").arg(&out))?;
    if let Some(model) = model {
        let data = out.join("test.csv");
        let options = ["--run-dir".into(), model, "--data".into(), data.into(), "--name".into(), name.into()];
        return single::run(programs, names::EVALUATE, options.into_iter().chain(rest).collect());
    }
    if !rest.iter().any(|arg| arg.to_string_lossy().starts_with("--predictions")) {
        return Ok(());
    }
    let options = [
        "--data".into(),
        out.join("images.csv").into(),
        "--own-reals".into(),
        "--run-dir".into(),
        out.into_os_string(),
    ];
    rest.extend(options);
    tools::judge(programs, rest)
}

/// Returns the file of a protocol: `name` itself if it ends in `.toml`, otherwise the provided file with this name.
fn protocol_file(provided: &ProvidedFiles, name: &OsStr) -> Result<ProvidedFile, Failure> {
    if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        return Ok(ProvidedFile::at(name));
    }
    let name = name.to_string_lossy();
    provided.open(&name)?.ok_or_else(|| {
        let names = provided.names().join(", ");
        Failure::usage(format!("there is no benchmark `{name}`; there are {names}, and paths of .toml files"))
    })
}
