//! Ingests other data than the run's own, for an evaluation.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::schema::PreprocessorConfig;
use artifacts::stage::Failure;
use artifacts::{Checkpoint, Manifest, RunDir, names};

use crate::options::{take_option, take_sets};
use crate::{Programs, process};

/// Returns the folder of the shards of a source. If the source is not a folder of shards, ingests it with the
/// preprocessing of the model's training images. Passes `--set ingest.…` options of the command to ingest.
pub(crate) fn ingest_other_data(
    programs: &dyn Programs,
    source: &OsStr,
    rest: &mut Vec<OsString>,
) -> Result<PathBuf, Failure> {
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
    programs.prepare(&[names::INGEST])?;
    let mut ingest = programs.command(names::INGEST)?;
    ingest.arg("--run-dir").arg(other.path()).arg("--no-run-toml");
    for set in sets.into_iter().map(OsString::from).chain(take_sets(rest, names::INGEST)?) {
        ingest.arg("--set").arg(set);
    }
    process::run(&mut ingest)?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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
