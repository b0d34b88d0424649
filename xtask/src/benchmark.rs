//! Evaluates a detector on a benchmark of the field, whose protocol is a file in `benchmarks/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use artifacts::stage::Failure;
use artifacts::{RunDir, names};

use crate::cuda::CudaChoice;
use crate::single::{has_help_option, judge, run as run_stage, take_option};
use crate::{build, programs};

/// Lists the images of a benchmark, and evaluates predictions from a file or a model of Candling on them. Passes the
/// other options to judge or to evaluate.
pub(crate) fn run(mut rest: Vec<OsString>, cuda: CudaChoice) -> Result<(), Failure> {
    build::all_programs(cuda)?;
    if rest.is_empty() || has_help_option(&rest) {
        return programs::run(programs::program("benchmark")?.arg("--help"));
    }
    let protocol = protocol_file(Path::new(&rest.remove(0)))?;
    let root = take_option(&mut rest, "--root")?
        .ok_or_else(|| Failure::usage("--root is missing: the folder with the images of the benchmark"))?;
    let name = format!("benchmark-{}", protocol.file_stem().unwrap_or_default().to_string_lossy());
    let out =
        take_option(&mut rest, "--run-dir")?.map_or_else(|| RunDir::named(&name).path().to_owned(), PathBuf::from);
    let model = take_option(&mut rest, "--model")?;
    programs::run(programs::program("benchmark")?.arg(&protocol).arg("--root").arg(root).arg("--out").arg(&out))?;
    if let Some(model) = model {
        let data = out.join("test.csv");
        let options = ["--run-dir".into(), model, "--data".into(), data.into(), "--name".into(), name.into()];
        return run_stage(names::EVALUATE, options.into_iter().chain(rest).collect(), cuda);
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
    judge(rest, cuda)
}

/// Returns the file of a protocol: `benchmarks/NAME.toml`, or the path of a TOML file.
fn protocol_file(name: &Path) -> Result<PathBuf, Failure> {
    if name.extension().is_some_and(|extension| extension == "toml") {
        return Ok(name.to_owned());
    }
    let folder = programs::root().join("benchmarks");
    let path = folder.join(name).with_extension("toml");
    if path.exists() {
        return Ok(path);
    }
    let files = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut names: Vec<String> =
        files.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Err(Failure::usage(format!(
        "there is no benchmark `{}`; there are {}, and paths of .toml files",
        name.display(),
        names.join(", ")
    )))
}
