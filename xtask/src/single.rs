//! Runs single stages and tools on an existing run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::schema::{Comparison, PreprocessorConfig};
use artifacts::stage::{Failure, print_text};
use artifacts::{Checkpoint, Manifest, RunDir, names};

use crate::cuda::CudaChoice;
use crate::{build, pipeline, programs};

/// Runs a stage program. `--pipeline NAME` selects the run folder of that pipeline. `--data SOURCE` of evaluate is
/// ingested first unless it is a folder of shards.
pub(crate) fn run(stage: &str, mut rest: Vec<OsString>, cuda: CudaChoice) -> Result<(), Failure> {
    build::all_programs(cuda)?;
    if has_help_option(&rest) {
        return programs::run(programs::program(stage)?.args(rest));
    }
    if let Some(name) = take_option(&mut rest, "--pipeline")? {
        let file = pipeline::pipeline_file(&name.to_string_lossy())?;
        let run = pipeline::default_run(&file);
        rest.extend(["--run-dir".into(), run.path().into()]);
        if !run.config().exists() {
            rest.extend(["--config".into(), file.into()]);
        }
    }
    if stage == names::EVALUATE
        && let Some(source) = take_option(&mut rest, "--data")?
    {
        let shards = ingest_other_data(&source, &mut rest)?;
        rest.extend(["--data".into(), shards.into()]);
    }
    programs::run(programs::program(stage)?.args(rest))
}

/// Predicts on files and folders.
pub(crate) fn predict(rest: Vec<OsString>, cuda: CudaChoice) -> Result<(), Failure> {
    build::all_programs(cuda)?;
    programs::run(programs::program("predict")?.args(rest))
}

/// Feeds damaged copies of the golden files to the readers of files.
pub(crate) fn fuzz(rest: Vec<OsString>) -> Result<(), Failure> {
    build::all_programs(CudaChoice::Off)?;
    let golden = programs::root().join("tests").join("golden");
    programs::run(programs::program("fuzz")?.arg("--corpus").arg(golden).args(rest))
}

/// Compares runs, and writes the HTML page into the folder of `compare.json`.
pub(crate) fn compare(mut rest: Vec<OsString>, cuda: CudaChoice) -> Result<(), Failure> {
    build::all_programs(cuda)?;
    if has_help_option(&rest) {
        return programs::run(programs::program("compare")?.args(rest));
    }
    let out = take_option(&mut rest, "--out")?.unwrap_or_else(|| Comparison::DEFAULT_DIR.into());
    programs::run(programs::program("compare")?.args(rest).arg("--out").arg(&out))?;
    programs::run(programs::program("compare-report")?.arg(&out))
}

/// Judges files of predictions, makes a report of each detector, and compares several detectors.
pub(crate) fn judge(rest: Vec<OsString>, cuda: CudaChoice) -> Result<(), Failure> {
    build::all_programs(cuda)?;
    if has_help_option(&rest) {
        return programs::run(programs::program("judge")?.args(rest));
    }
    let run_dir = take_option(&mut rest.clone(), "--run-dir")?;
    // The folders are in the last line. Tables come before it.
    let mut last = String::new();
    programs::run_reading(programs::program("judge")?.args(rest).arg("--print-runs"), |line| {
        let before = std::mem::replace(&mut last, format!("{line}\n"));
        print_text(&before).map(|_| ())
    })?;
    let runs: Vec<PathBuf> = serde_json::from_str(&last)
        .map_err(|error| Failure::failed(format!("candling-judge printed no folders of runs: {error}")))?;
    for run in &runs {
        programs::run(programs::program(names::REPORT)?.arg("--run-dir").arg(run))?;
    }
    if runs.len() < 2 {
        return Ok(());
    }
    let out = run_dir.map_or(Comparison::DEFAULT_DIR.into(), |dir| Path::new(&dir).join("compare"));
    programs::run(programs::program("compare")?.args(&runs).arg("--out").arg(&out))?;
    programs::run(programs::program("compare-report")?.arg(&out))
}

/// Returns the folder of the shards of a source. If the source is not a folder of shards, ingests it with the
/// preprocessing of the model's training images. Passes `--set ingest.…` options of the command to ingest.
fn ingest_other_data(source: &OsStr, rest: &mut Vec<OsString>) -> Result<PathBuf, Failure> {
    let path = Path::new(source);
    if path.join(names::MANIFEST).exists() {
        return Ok(path.to_owned());
    }
    let run = match take_option(rest, "--run-dir")? {
        Some(dir) => RunDir::new(dir),
        None => RunDir::latest(Path::new(names::RUNS))?,
    };
    rest.extend(["--run-dir".into(), run.path().into()]);
    let other = run.other_data(&slug(&source.to_string_lossy()));
    let mut sets = vec![
        format!("ingest.source={}", toml::Value::String(source.to_string_lossy().into_owned())),
        // Evaluate all images, whatever the names of their folders are.
        "ingest.split=test".to_owned(),
    ];
    let checkpoint = checkpoint(rest, &run)?;
    sets.extend(preprocessing_sets(checkpoint.read_preprocessor_config()?)?);
    // Detectors that read files find them in other data too.
    let keeps_files = Manifest::read(&run.ingest())?.is_some_and(|own| own.config["keep_files"] == true);
    if keeps_files || checkpoint.read_model_config()?.detector.is_some() {
        sets.push("ingest.keep_files=true".to_owned());
    }
    let mut ingest = programs::program(names::INGEST)?;
    ingest.arg("--run-dir").arg(other.path()).arg("--no-run-toml");
    for set in sets.into_iter().map(OsString::from).chain(take_sets(rest, names::INGEST)?) {
        ingest.arg("--set").arg(set);
    }
    programs::run(&mut ingest)?;
    Ok(other.ingest())
}

/// Returns a checkpoint that has the same preprocessing as the evaluated one, which all checkpoints of a run have.
fn checkpoint(rest: &[OsString], run: &RunDir) -> Result<Checkpoint, Failure> {
    let named = take_option(&mut rest.to_vec(), "--ckpt")?.unwrap_or_else(|| "best".into());
    let Some(find) = Checkpoint::by_name(&named.to_string_lossy()) else {
        return Ok(Checkpoint::new(named));
    };
    Manifest::require(&run.train_run(0), names::TRAIN)?;
    Ok(find(&run.train_run(0)))
}

/// Returns the overrides with which ingest preprocesses images like the training images of a checkpoint.
fn preprocessing_sets(trained: PreprocessorConfig) -> Result<Vec<String>, Failure> {
    let PreprocessorConfig { size, filter, fit, reencode, .. } = trained;
    let mut sets = vec![format!("ingest.size={}", size.height)];
    sets.extend(filter.map(|filter| format!("ingest.filter={filter}")));
    sets.extend(fit.map(|fit| format!("ingest.fit={fit}")));
    if let Some(reencode) = reencode {
        let table = toml::Value::try_from(reencode).map_err(Failure::failed)?;
        sets.push(format!("ingest.reencode={table}"));
    }
    Ok(sets)
}

/// Removes the overrides of one section from the arguments and returns them.
fn take_sets(rest: &mut Vec<OsString>, section: &str) -> Result<Vec<OsString>, Failure> {
    let mut taken = Vec::new();
    let mut others = Vec::new();
    while let Some(set) = take_option(rest, "--set")? {
        let of_section = set.to_string_lossy().trim_start().starts_with(&format!("{section}."));
        if of_section { taken.push(set) } else { others.push(set) }
    }
    rest.extend(others.into_iter().flat_map(|set| ["--set".into(), set]));
    Ok(taken)
}

/// The maximum number of characters of a source in the name of its folder. File names are limited to 255 bytes.
const MAX_SLUG_CHARS: usize = 48;

/// Returns a unique folder name for a source: `faces` for `faces`, and `kaggle-a-b-DIGEST` for `kaggle:a/b`, which
/// contains characters that are not allowed in file names.
fn slug(source: &str) -> String {
    let dashed: String = source.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let parts: Vec<&str> = dashed.split('-').filter(|part| !part.is_empty()).collect();
    let name: String = parts.join("-").chars().take(MAX_SLUG_CHARS).collect();
    if name == source {
        return name;
    }
    let digest = Hash::of(source.as_bytes()).short();
    [name, digest].iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("-")
}

pub(crate) fn has_help_option(rest: &[OsString]) -> bool {
    rest.iter().any(|arg| arg == "--help" || arg == "-h")
}

/// Removes `--name VALUE` or `--name=VALUE` from the arguments and returns the value.
pub(crate) fn take_option(rest: &mut Vec<OsString>, name: &str) -> Result<Option<OsString>, Failure> {
    let prefix = format!("{name}=");
    let Some(at) = rest.iter().position(|arg| arg == name || arg.to_string_lossy().starts_with(&prefix)) else {
        return Ok(None);
    };
    let arg = rest.remove(at);
    match arg.to_string_lossy().strip_prefix(&prefix) {
        Some(value) => Ok(Some(value.into())),
        None if at < rest.len() => Ok(Some(rest.remove(at))),
        None => Err(Failure::usage(format!("{name} needs a value"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn takes_options_in_both_forms() {
        let mut rest = args(&["--ckpt", "best", "--data", "x", "--force"]);
        assert_eq!(take_option(&mut rest, "--data").unwrap(), Some("x".into()));
        assert_eq!(rest, args(&["--ckpt", "best", "--force"]));
        let mut rest = args(&["--data=y"]);
        assert_eq!(take_option(&mut rest, "--data").unwrap(), Some("y".into()));
        assert_eq!(take_option(&mut rest, "--data").unwrap(), None);
        assert!(take_option(&mut args(&["--data"]), "--data").is_err());
    }

    #[test]
    fn takes_overrides_of_one_section_only() {
        let mut rest = args(&["--set", "ingest.labels.adm=fake", "--force", "--set=evaluate.batch=8"]);
        assert_eq!(take_sets(&mut rest, "ingest").unwrap(), args(&["ingest.labels.adm=fake"]));
        assert_eq!(rest, args(&["--force", "--set", "evaluate.batch=8"]));
    }

    #[test]
    fn other_data_have_preprocessing_of_training_images() {
        let config = serde_json::json!({
            "do_resize": true, "size": { "height": 112, "width": 112 }, "filter": "bicubic", "fit": "crop",
            "reencode": { "format": "jpeg", "quality": 90 }, "do_rescale": true, "rescale_factor": 0.1,
            "do_normalize": true, "image_mean": [0.0, 0.0, 0.0], "image_std": [1.0, 1.0, 1.0],
        });
        let sets = preprocessing_sets(serde_json::from_value(config).unwrap()).unwrap();
        assert_eq!(sets[..3], ["ingest.size=112", "ingest.filter=bicubic", "ingest.fit=crop"]);
        let parsed: toml::Table = sets[3].parse().unwrap();
        assert_eq!(parsed["ingest"]["reencode"]["quality"].as_integer(), Some(90));
    }

    #[test]
    fn slugs_are_safe_and_unique_folder_names() {
        assert_eq!(slug("faces"), "faces");
        assert_eq!(slug("写真"), "写真");
        assert!(slug("kaggle:a/b").starts_with("kaggle-a-b-"));
        assert!(slug("../../etc").starts_with("etc-"));
        let sources = ["s et", "s-et", "s/et", "../..", "/", "🦊", "🐻", &"写".repeat(60), &"写".repeat(61)];
        let slugs: BTreeSet<String> = sources.into_iter().map(slug).collect();
        assert_eq!(slugs.len(), sources.len(), "{slugs:?}");
        let is_safe = |slug: &String| {
            (1..=220).contains(&slug.len()) && slug.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        };
        assert!(slugs.iter().all(is_safe), "{slugs:?}");
    }
}
