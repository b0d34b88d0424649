//! What each stage takes by itself, and the stages of a pipeline together do not: known before anything runs.

use artifacts::Split;
use artifacts::config::OutOfRange;
use artifacts::schema::MINIMUM_SIDE;
use artifacts::stage::{Failure, Plan};
use serde_json::Value;

use crate::cli::StageName;

/// Checks the plans of all stages, in their order; `is_selected` says which will run.
pub(crate) fn check(plans: &[Plan], is_selected: impl Fn(StageName) -> bool) -> Result<(), Failure> {
    let ingest = &plans[StageName::Ingest as usize];
    // A run's own run.toml may have been trimmed by hand: what it leaves out has its default, which is large enough.
    let size = ingest.config["size"].as_u64();
    if let Some(size) = size.filter(|size| is_selected(StageName::Train) && *size < MINIMUM_SIDE as u64) {
        return Err(Failure::usage(OutOfRange::new(
            StageName::Ingest.name(),
            "size",
            size,
            format!("at least {MINIMUM_SIDE} to train: the network halves an image five times"),
        )));
    }
    match &ingest.splits {
        Some(splits) if is_selected(StageName::Ingest) => {
            check_splits(plans, is_selected, |split| splits.contains_key(&split))
        }
        _ => Ok(()),
    }
}

/// Checks that the stages find the splits that they look for: `is_there` says whether ingest makes one, or has made it.
pub(crate) fn check_splits(
    plans: &[Plan],
    is_selected: impl Fn(StageName) -> bool,
    is_there: impl Fn(Split) -> bool,
) -> Result<(), Failure> {
    let evaluate = &plans[StageName::Evaluate as usize].config;
    let judged: Option<Split> = serde_json::from_value(evaluate["split"].clone()).ok();
    let judged = judged.filter(|_| evaluate["data"] == Value::Null);
    let wanted =
        [(StageName::Train, Some(Split::Train)), (StageName::Train, Some(Split::Val)), (StageName::Evaluate, judged)];
    for (stage, split) in wanted.into_iter().filter(|(stage, _)| is_selected(*stage)) {
        if let Some(split) = split.filter(|split| !is_there(*split)) {
            return Err(Failure::usage(lack(stage, split)));
        }
    }
    Ok(())
}

fn lack(stage: StageName, split: Split) -> String {
    let why = match split {
        Split::Train => "the source has none: name its folders in ingest.splits".to_owned(),
        Split::Val | Split::Test => format!(
            "the source has none, and ingest.{split}_fraction takes none of the training images for it: raise it{}",
            if stage == StageName::Evaluate { ", or set evaluate.split" } else { "" }
        ),
    };
    format!("{} would find no {split} split: {why}", stage.name())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plans(size: u32, splits: &[Split], evaluate: Value) -> Vec<Plan> {
        let plan = |stage: StageName| Plan {
            stage: stage.name().to_owned(),
            run: true,
            reason: String::new(),
            config: if stage == StageName::Ingest { json!({ "size": size }) } else { evaluate.clone() },
            notices: Vec::new(),
            splits: (stage == StageName::Ingest).then(|| splits.iter().map(|&split| (split, None)).collect()),
            lacks: None,
        };
        StageName::ALL.map(plan).to_vec()
    }

    #[test]
    fn what_a_later_stage_would_fail_on_is_refused_by_name() {
        let all = |_| true;
        let test = json!({ "split": "test", "data": null });
        let (both, every) = ([Split::Train, Split::Val], [Split::Train, Split::Val, Split::Test]);
        let refused = |plans: &[Plan]| check(plans, all).unwrap_err().to_string();

        check(&plans(32, &every, test.clone()), all).unwrap();
        assert!(refused(&plans(16, &every, test.clone())).starts_with("ingest.size is 16"));
        assert!(refused(&plans(32, &both, test.clone())).contains("ingest.test_fraction"));
        assert!(refused(&plans(32, &every[..1], test.clone())).contains("ingest.val_fraction"));
        // Other data are judged, or nothing is.
        check(&plans(32, &both, json!({ "split": "test", "data": "shards" })), all).unwrap();
        check(&plans(16, &both, test.clone()), |stage| stage == StageName::Ingest).unwrap();
        // A run.toml that was trimmed by hand.
        let mut trimmed = plans(16, &every, test);
        trimmed[StageName::Ingest as usize].config = json!({});
        check(&trimmed, all).unwrap();
    }
}
