//! Preflight checks of a pipeline: conditions that no single stage can check. They are checked before anything runs or
//! is written.

use std::path::Path;

use artifacts::command;
use artifacts::config::OutOfRange;
use artifacts::schema::MINIMUM_SIDE;
use artifacts::stage::{Failure, StagePlan, exit};
use artifacts::text::shell_word;
use artifacts::{RunDir, Split, config, names};
use serde_json::Value;

use crate::args::{PipelineArgs, StageName};

/// Checks that the images are large enough for training, and that ingest will make the splits that later stages need.
/// `plans` contains the plan of every stage, in order.
pub(crate) fn check(plans: &[StagePlan], is_selected: impl Fn(StageName) -> bool) -> Result<(), Failure> {
    let ingest = &plans[StageName::Ingest as usize];
    // A user may have removed the key from run.toml. The default is large enough.
    let size = ingest.config["size"].as_u64();
    if let Some(size) = size.filter(|size| is_selected(StageName::Train) && *size < MINIMUM_SIDE as u64) {
        return Err(Failure::usage(OutOfRange::new(
            StageName::Ingest.name(),
            "size",
            size,
            format!("at least {MINIMUM_SIDE} to train: the network halves an image five times"),
        )));
    }
    let branches = !is_resnet(&plans[StageName::Train as usize].config);
    let keeps_files = ingest.config["keep_files"].as_bool() == Some(true);
    if branches && !keeps_files && is_selected(StageName::Ingest) && is_selected(StageName::Train) {
        return Err(Failure::usage(
            "model.branches needs image files at native resolution, but ingest.keep_files is false; add `--set \
             ingest.keep_files=true`, or set it in the pipeline file",
        ));
    }
    match &ingest.splits {
        Some(splits) if is_selected(StageName::Ingest) => {
            check_splits(plans, is_selected, |split| splits.contains_key(&split))
        }
        _ => Ok(()),
    }
}

/// Whether the configuration of train describes a single ResNet. Old configurations have no section `[model]`.
pub(crate) fn is_resnet(train: &Value) -> bool {
    let branches = &train[names::MODEL]["branches"];
    let is_resnet = |branches: &Vec<Value>| {
        branches.iter().all(|name| name.as_str().is_some_and(|name| name.starts_with("resnet")))
    };
    branches.as_array().is_none_or(is_resnet)
}

/// Checks that the selected stages find the splits they need. `exists` returns whether ingest makes or has made a
/// split.
pub(crate) fn check_splits(
    plans: &[StagePlan],
    is_selected: impl Fn(StageName) -> bool,
    exists: impl Fn(Split) -> bool,
) -> Result<(), Failure> {
    let evaluate = &plans[StageName::Evaluate as usize].config;
    let evaluated: Option<Split> = serde_json::from_value(evaluate["split"].clone()).ok();
    let evaluated = evaluated.filter(|_| evaluate["data"] == Value::Null);
    let needed = [
        (StageName::Train, Some(Split::Train)),
        (StageName::Train, Some(Split::Val)),
        (StageName::Evaluate, evaluated),
    ];
    for (stage, split) in needed.into_iter().filter(|(stage, _)| is_selected(*stage)) {
        if let Some(split) = split.filter(|split| !exists(*split)) {
            return Err(Failure::usage(missing_split(stage, split)));
        }
    }
    Ok(())
}

fn missing_split(stage: StageName, split: Split) -> String {
    let advice = match split {
        Split::Train => "the source has none; name its folders in ingest.splits".to_owned(),
        Split::Val | Split::Test => format!(
            "the source has none, and ingest.{split}_fraction takes none of the training images for it; raise it{}",
            if stage == StageName::Evaluate { ", or set evaluate.split" } else { "" }
        ),
    };
    format!("{} would find no {split} split: {advice}", stage.name())
}

/// Checks that nothing prevents the stages that will run, such as weights that cannot be downloaded.
pub(crate) fn check_obstacles<'a>(plans: impl IntoIterator<Item = &'a StagePlan>) -> Result<(), Failure> {
    let mut plans = plans.into_iter();
    match plans.find_map(|plan| Some((&plan.stage, plan.obstacles.first()?))) {
        Some((stage, obstacle)) => Err(Failure::input(format!("{stage} cannot run: {obstacle}"))),
        None => Ok(()),
    }
}

/// Checks that the first stage can read its inputs, because no earlier stage of this pipeline makes them.
pub(crate) fn check_first_inputs(first: &StagePlan) -> Result<(), Failure> {
    let Some(code) = first.input_error else { return Ok(()) };
    let reason = format!("{}: {}", first.stage, first.reason);
    Err(match code {
        exit::USAGE => Failure::usage(reason),
        exit::INPUT => Failure::input(reason),
        _ => Failure::failed(reason),
    })
}

/// Rejects a pipeline whose source is not the one that the run was made from, because the run's shards and trainings
/// would be replaced. Accepts it if the user names both the run and the source, with --data or --set.
pub(crate) fn check_source(run: &RunDir, plans: &[StagePlan], args: &PipelineArgs) -> Result<(), Failure> {
    let is_source = |set: &String| set.replace(' ', "").starts_with("ingest.source=");
    let names_source = !args.short.data.is_empty() || args.set.iter().any(is_source);
    if args.from > StageName::Ingest || names_source && args.run_dir.is_some() {
        return Ok(());
    }
    let has_results = [run.ingest(), run.train()].iter().any(|folder| folder.exists());
    if !has_results || !run.config().exists() {
        return Ok(());
    }
    let document = config::read(&run.config()).map_err(Failure::usage)?;
    let made_from = document.get(names::INGEST).and_then(|section| section.get("source"));
    let made_from = made_from.and_then(|source| serde_json::to_value(source).ok());
    let named = &plans[StageName::Ingest as usize].config["source"];
    let Some(made_from) = made_from.filter(|made_from| made_from != named && !named.is_null()) else { return Ok(()) };
    let (made_from, named) = (SourceText::of(&made_from), SourceText::of(named));
    let advised = |run: &Path, source: &SourceText| {
        let words = ["--run-dir", &run.to_string_lossy(), source.option, &source.value].map(shell_word);
        command::line(&format!("pipeline {} {}", shell_word(&args.name), words.join(" ")))
    };
    let mut name = run.path().file_name().unwrap_or_default().to_owned();
    name.push("-2");
    Err(Failure::usage(format!(
        "the run `{}` was made from `{}`, but this pipeline reads `{}`\n  \
         to keep the data of the run:  {}\n  \
         to replace the data:          {}\n  \
         to make another run:          {}",
        run.path().display(),
        made_from.text,
        named.text,
        advised(run.path(), &made_from),
        advised(run.path(), &named),
        advised(&run.path().with_file_name(name), &named),
    )))
}

/// The value of `ingest.source` as a user types it.
struct SourceText {
    /// The name of a source, or a list in TOML.
    text: String,
    /// The option that sets it.
    option: &'static str,
    /// The value of the option.
    value: String,
}

impl SourceText {
    fn of(source: &Value) -> SourceText {
        match source.as_str() {
            Some(name) => SourceText { text: name.to_owned(), option: "--data", value: name.to_owned() },
            None => {
                let list = toml::Value::try_from(source).map_or_else(|_| source.to_string(), |list| list.to_string());
                SourceText { value: format!("ingest.source={list}"), text: list, option: "--set" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plans(size: u32, splits: &[Split], evaluate: Value) -> Vec<StagePlan> {
        let plan = |stage: StageName| StagePlan {
            stage: stage.name().to_owned(),
            run: true,
            reason: String::new(),
            config: match stage {
                StageName::Ingest => json!({ "size": size, "source": "photos" }),
                _ => evaluate.clone(),
            },
            notices: Vec::new(),
            obstacles: Vec::new(),
            warnings: Vec::new(),
            splits: (stage == StageName::Ingest).then(|| splits.iter().map(|&split| (split, None)).collect()),
            input_error: None,
        };
        StageName::ALL.map(plan).to_vec()
    }

    #[test]
    fn rejects_small_images_and_missing_splits() {
        let all = |_| true;
        let test = json!({ "split": "test", "data": null });
        let (both, every) = ([Split::Train, Split::Val], [Split::Train, Split::Val, Split::Test]);
        let rejected = |plans: &[StagePlan]| check(plans, all).unwrap_err().to_string();

        check(&plans(32, &every, test.clone()), all).unwrap();
        assert!(rejected(&plans(16, &every, test.clone())).ends_with("but is 16"));
        assert!(rejected(&plans(32, &both, test.clone())).contains("ingest.test_fraction"));
        assert!(rejected(&plans(32, &every[..1], test.clone())).contains("ingest.val_fraction"));
        // Evaluate reads other data, or is left out.
        check(&plans(32, &both, json!({ "split": "test", "data": "shards" })), all).unwrap();
        check(&plans(16, &both, test.clone()), |stage| stage == StageName::Ingest).unwrap();
        // A user removed the key from run.toml.
        let mut trimmed = plans(16, &every, test);
        trimmed[StageName::Ingest as usize].config = json!({});
        check(&trimmed, all).unwrap();
    }

    #[test]
    fn rejects_other_source_unless_named() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path().join("my run"));
        std::fs::create_dir_all(run.path()).unwrap();
        std::fs::write(run.config(), "[ingest]\nsource = 'holidays'\n").unwrap();
        let plans = plans(32, &[], json!({}));
        let checked = |rest: &[&str]| {
            check_source(&run, &plans, &PipelineArgs::of_demo(rest)).map_err(|e| (e.code(), e.to_string()))
        };

        checked(&[]).expect("nothing was made yet");
        std::fs::create_dir(run.ingest()).unwrap();
        let (code, message) = checked(&[]).unwrap_err();
        assert_eq!(code, exit::USAGE);
        for source in ["holidays", "photos"] {
            let command = format!("cargo xtask pipeline demo --run-dir '{}' --data {source}", run.path().display());
            assert!(message.contains(&command), "{message}");
        }
        // The source is named, but not the run that would be replaced.
        for source in [["--data", "photos"], ["--set", "ingest.source=photos"]] {
            let (_, message) = checked(&source).unwrap_err();
            assert!(message.contains("my run-2' --data photos"), "{message}");
            checked(&[source[0], source[1], "--run-dir", "my run"]).unwrap();
        }
        checked(&["--from", "train"]).unwrap();
        std::fs::write(run.config(), "[ingest]\nsource = 'photos'\n").unwrap();
        checked(&[]).unwrap();
    }
}
