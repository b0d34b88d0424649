//! One stage, or one of the tools, on what is on disk.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::schema::{Comparison, PreprocessorConfig};
use artifacts::stage::Failure;
use artifacts::{Checkpoint, Manifest, RunDir, names};

use crate::cuda::CudaChoice;
use crate::{build, pipeline, programs};

/// Runs a stage program. `--pipeline NAME` stands for the run folder of that name; `--data SOURCE` of evaluate is
/// ingested first where it is not a folder of shards already.
pub(crate) fn run(stage: &str, mut rest: Vec<OsString>, cuda: CudaChoice) -> Result<(), Failure> {
    build::all_programs(cuda)?;
    if asks_for_help(&rest) {
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
        let shards = shards_of(&source, &mut rest)?;
        rest.extend(["--data".into(), shards.into()]);
    }
    programs::run(programs::program(stage)?.args(rest))
}

/// Judges files and folders.
pub(crate) fn predict(rest: Vec<OsString>, cuda: CudaChoice) -> Result<(), Failure> {
    build::all_programs(cuda)?;
    programs::run(programs::program("predict")?.args(rest))
}

/// Compares runs, and makes the page about it beside `compare.json`.
pub(crate) fn compare(mut rest: Vec<OsString>, cuda: CudaChoice) -> Result<(), Failure> {
    build::all_programs(cuda)?;
    if asks_for_help(&rest) {
        return programs::run(programs::program("compare")?.args(rest));
    }
    let out = take_option(&mut rest, "--out")?.unwrap_or_else(|| Comparison::DEFAULT_DIR.into());
    programs::run(programs::program("compare")?.args(rest).arg("--out").arg(&out))?;
    programs::run(programs::program("compare-report")?.arg(&out))
}

/// The folder of shards of a source: itself, or what ingest makes of it, prepared as the images that the model was trained
/// on. Whatever else ingest is to know of the source is in `--set ingest.…` of the same command.
fn shards_of(source: &OsStr, rest: &mut Vec<OsString>) -> Result<PathBuf, Failure> {
    let path = Path::new(source);
    if path.join(names::MANIFEST).exists() {
        return Ok(path.to_owned());
    }
    let run = match take_option(rest, "--run-dir")? {
        Some(dir) => RunDir::new(dir),
        None => RunDir::latest(Path::new(names::RUNS))?,
    };
    rest.extend(["--run-dir".into(), run.path().into()]);
    let foreign = run.other_data(&slug(&source.to_string_lossy()));
    let mut sets = vec![
        format!("ingest.source={}", toml::Value::String(source.to_string_lossy().into_owned())),
        // All of it is there to be judged, whatever its folders are called.
        "ingest.split=test".to_owned(),
    ];
    sets.extend(preparation(checkpoint(rest, &run)?.read_preprocessor_config()?)?);
    let mut ingest = programs::program(names::INGEST)?;
    ingest.arg("--run-dir").arg(foreign.path()).arg("--no-run-toml");
    for set in sets.into_iter().map(OsString::from).chain(take_sets(rest, names::INGEST)?) {
        ingest.arg("--set").arg(set);
    }
    programs::run(&mut ingest)?;
    Ok(foreign.ingest())
}

/// A checkpoint that is prepared for as the one to be judged is: all of a run are prepared for alike.
fn checkpoint(rest: &[OsString], run: &RunDir) -> Result<Checkpoint, Failure> {
    let named = take_option(&mut rest.to_vec(), "--ckpt")?.unwrap_or_else(|| "best".into());
    let Some(of) = Checkpoint::by_name(&named.to_string_lossy()) else {
        return Ok(Checkpoint::new(named));
    };
    Manifest::require(&run.train_run(0), names::TRAIN)?;
    Ok(of(&run.train_run(0)))
}

/// The keys of ingest that make images as a checkpoint's were made.
fn preparation(made: PreprocessorConfig) -> Result<Vec<String>, Failure> {
    let PreprocessorConfig { size, filter, fit, reencode, .. } = made;
    let mut sets = vec![format!("ingest.size={}", size.height)];
    sets.extend(filter.map(|filter| format!("ingest.filter={filter}")));
    sets.extend(fit.map(|fit| format!("ingest.fit={fit}")));
    if let Some(reencode) = reencode {
        let table = toml::Value::try_from(reencode).map_err(Failure::failed)?;
        sets.push(format!("ingest.reencode={table}"));
    }
    Ok(sets)
}

/// Takes the overrides of one section out of the arguments.
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

/// Letters of a source that its folder's name repeats: names of files end at 255 bytes.
const SLUG_LETTERS: usize = 48;

/// A folder's name for a source, another one for each: `faces`, and where the source holds what a name cannot, such as
/// `kaggle:a/b`, `kaggle-a-b-` and a piece of the source's digest.
fn slug(source: &str) -> String {
    let dashed: String = source.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let parts: Vec<&str> = dashed.split('-').filter(|part| !part.is_empty()).collect();
    let name: String = parts.join("-").chars().take(SLUG_LETTERS).collect();
    if name == source {
        return name;
    }
    let digest = Hash::of(source.as_bytes()).short();
    [name, digest].iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("-")
}

fn asks_for_help(rest: &[OsString]) -> bool {
    rest.iter().any(|arg| arg == "--help" || arg == "-h")
}

/// Takes `--name VALUE` or `--name=VALUE` out of the arguments.
fn take_option(rest: &mut Vec<OsString>, name: &str) -> Result<Option<OsString>, Failure> {
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
    fn options_are_taken_in_both_forms() {
        let mut rest = args(&["--ckpt", "best", "--data", "x", "--force"]);
        assert_eq!(take_option(&mut rest, "--data").unwrap(), Some("x".into()));
        assert_eq!(rest, args(&["--ckpt", "best", "--force"]));
        let mut rest = args(&["--data=y"]);
        assert_eq!(take_option(&mut rest, "--data").unwrap(), Some("y".into()));
        assert_eq!(take_option(&mut rest, "--data").unwrap(), None);
        assert!(take_option(&mut args(&["--data"]), "--data").is_err());
    }

    #[test]
    fn overrides_of_ingest_are_taken_out_and_the_others_stay() {
        let mut rest = args(&["--set", "ingest.labels.adm=fake", "--force", "--set=evaluate.batch=8"]);
        assert_eq!(take_sets(&mut rest, "ingest").unwrap(), args(&["ingest.labels.adm=fake"]));
        assert_eq!(rest, args(&["--force", "--set", "evaluate.batch=8"]));
    }

    #[test]
    fn foreign_images_are_prepared_as_those_of_the_training() {
        let config = serde_json::json!({
            "do_resize": true, "size": { "height": 112, "width": 112 }, "filter": "bicubic", "fit": "crop",
            "reencode": { "format": "jpeg", "quality": 90 }, "do_rescale": true, "rescale_factor": 0.1,
            "do_normalize": true, "image_mean": [0.0, 0.0, 0.0], "image_std": [1.0, 1.0, 1.0],
        });
        let sets = preparation(serde_json::from_value(config).unwrap()).unwrap();
        assert_eq!(sets[..3], ["ingest.size=112", "ingest.filter=bicubic", "ingest.fit=crop"]);
        let parsed: toml::Table = sets[3].parse().unwrap();
        assert_eq!(parsed["ingest"]["reencode"]["quality"].as_integer(), Some(90));
    }

    #[test]
    fn slugs_are_harmless_folder_names_and_another_for_each_source() {
        assert_eq!(slug("faces"), "faces");
        assert_eq!(slug("写真"), "写真");
        assert!(slug("kaggle:a/b").starts_with("kaggle-a-b-"));
        assert!(slug("../../etc").starts_with("etc-"));
        let sources = ["s et", "s-et", "s/et", "../..", "/", "🦊", "🐻", &"写".repeat(60), &"写".repeat(61)];
        let slugs: BTreeSet<String> = sources.into_iter().map(slug).collect();
        assert_eq!(slugs.len(), sources.len(), "{slugs:?}");
        let harmless = |slug: &String| {
            (1..=220).contains(&slug.len()) && slug.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        };
        assert!(slugs.iter().all(harmless), "{slugs:?}");
    }
}
