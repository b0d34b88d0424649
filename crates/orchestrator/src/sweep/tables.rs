//! The tables of a sweep.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::grid::{Job, ONLY, Protocol, WITHOUT};
use super::results::{JobScores, Sweep};
use crate::scores::{self, Scores};

/// The list of jobs before they run.
pub(super) fn plan(jobs: &[Job]) -> String {
    let mut text = String::new();
    for job in jobs {
        let sets: Vec<String> = job.sets().iter().map(|set| format!("--set '{set}'")).collect();
        let _ = writeln!(text, "{}  {}", job.name(), sets.join(" "));
    }
    text
}

/// The results in Markdown, with the conclusion in the last lines.
pub(super) fn text(sweep: &Sweep) -> String {
    match &sweep.protocol {
        None => settings(sweep),
        Some(Protocol::LeaveOutEach) => left_out(sweep),
        Some(Protocol::TrainOnEach) => trained_on_each(sweep),
        Some(Protocol::FewShot { generator, .. }) => few_shot(sweep, generator),
    }
}

/// One row for each job with all scores, comma-separated.
pub(super) fn csv(sweep: &Sweep) -> String {
    let mut text = "job,scored_on,validation_roc_auc,roc_auc,low,high,accuracy\n".to_owned();
    for job in &sweep.jobs {
        let all = std::iter::once(("all", &job.test));
        for (group, test) in all.chain(job.generators.iter().map(|(name, test)| (name.as_str(), test))) {
            let [low, high] = test.roc_auc_interval.map_or([None; 2], |bounds| bounds.map(Some));
            let numbers = [job.validation_roc_auc, test.roc_auc, low, high, test.accuracy];
            let numbers = numbers.map(|number| number.map_or_else(String::new, |number| number.to_string()));
            let names = [&job.name, group].map(quoted);
            let _ = writeln!(text, "{},{}", names.join(","), numbers.join(","));
        }
    }
    text
}

/// A field of a CSV file.
fn quoted(field: &str) -> String {
    let field = artifacts::spreadsheet::escape_formula(field);
    if field.contains([',', '"', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into_owned() }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The jobs by their scores on validation, and the test score of the setting that validation chose.
fn settings(sweep: &Sweep) -> String {
    let mut jobs: Vec<&JobScores> = sweep.jobs.iter().collect();
    jobs.sort_by(|a, b| b.validation_roc_auc.unwrap_or(0.0).total_cmp(&a.validation_roc_auc.unwrap_or(0.0)));
    let mut text = "| job | ROC-AUC on validation |\n| --- | --- |\n".to_owned();
    for job in jobs {
        let _ = writeln!(text, "| {} | {} |", job.name, scores::text(job.validation_roc_auc));
    }
    let Some(chosen) = &sweep.chosen else { return text };
    let seeds = if chosen.seeds > 1 { format!(", mean of {} seeds", chosen.seeds) } else { String::new() };
    let name = if chosen.name.is_empty() { "the only setting" } else { &chosen.name };
    let _ =
        writeln!(text, "\nValidation chose {name} (ROC-AUC {:.3}{seeds}). Its test scores:", chosen.validation_roc_auc);
    for job in sweep.of_setting(&chosen.name) {
        let accuracy = scores::text(job.test.accuracy);
        let _ = writeln!(text, "  {}: ROC-AUC {}, accuracy {accuracy}", job.name, job.test.roc_auc_text());
    }
    text
}

/// For each generator, the scores of the training without it.
fn left_out(sweep: &Sweep) -> String {
    let mut text =
        "| generator left out | ROC-AUC on its fakes | ROC-AUC on all test images |\n| --- | --- | --- |\n".to_owned();
    let mut scores = Vec::new();
    for job in &sweep.jobs {
        let Some(left_out) = job.choices.iter().find(|choice| choice.name == WITHOUT) else { continue };
        let own = job.generators.get(&left_out.value);
        scores.push((job, own.and_then(|own| own.roc_auc)));
        let own = own.map_or_else(|| "– (no test image)".to_owned(), Scores::roc_auc_text);
        let _ = writeln!(text, "| {} | {own} | {} |", label(job, WITHOUT), job.test.roc_auc_text());
    }
    let worst = scores.iter().filter_map(|(job, score)| score.map(|score| (*job, score)));
    if let (Some(mean), Some((job, worst))) =
        (mean(scores.iter().map(|(_, score)| *score)), worst.min_by(|a, b| a.1.total_cmp(&b.1)))
    {
        let _ = writeln!(
            text,
            "\nOn generators that were left out: mean {mean:.3}, worst {worst:.3} ({}).",
            label(job, WITHOUT)
        );
    }
    text
}

/// The scores on each generator of the training on each.
fn trained_on_each(sweep: &Sweep) -> String {
    let tested: BTreeSet<&String> = sweep.jobs.iter().flat_map(|job| job.generators.keys()).collect();
    let mut text = "| trained on |".to_owned();
    tested.iter().for_each(|name| text += &format!(" {name} |"));
    text += " mean of the others |\n| --- |";
    text += &" --- |".repeat(tested.len() + 1);
    text.push('\n');
    for job in &sweep.jobs {
        let _ = write!(text, "| {} |", label(job, ONLY));
        for name in &tested {
            let _ = write!(text, " {} |", scores::text(job.generators.get(*name).and_then(|test| test.roc_auc)));
        }
        let own = job.choices.iter().find(|choice| choice.name == ONLY).map(|choice| &choice.value);
        let others = job.generators.iter().filter(|(name, _)| Some(*name) != own);
        let _ = writeln!(text, " {} |", scores::text(mean(others.map(|(_, test)| test.roc_auc))));
    }
    text
}

/// The scores on a generator by the number of its training images.
fn few_shot(sweep: &Sweep, generator: &str) -> String {
    let mut text = format!(
        "| training images of {generator} | ROC-AUC on its fakes | ROC-AUC on all test images |\n| --- | --- | --- |\n"
    );
    for job in &sweep.jobs {
        let own = job.generators.get(generator).map_or_else(|| "– (no test image)".to_owned(), Scores::roc_auc_text);
        let _ = writeln!(text, "| {} | {own} | {} |", label(job, generator), job.test.roc_auc_text());
    }
    text
}

/// The value of the choice `name`, with the other choices of the job.
pub(super) fn label(job: &JobScores, name: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for choice in &job.choices {
        if choice.name == name {
            parts.insert(0, choice.value.clone());
        } else {
            parts.push(format!("{} = {}", choice.name, choice.value));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::job_scores;
    use super::*;

    fn sweep(protocol: Option<Protocol>, jobs: Vec<JobScores>) -> Sweep {
        Sweep { pipeline: "smoke".to_owned(), protocol, jobs, chosen: None }
    }

    #[test]
    fn generators_that_were_left_out_have_mean_and_worst() {
        let jobs = vec![
            job_scores([WITHOUT, "a"], 0, [0.9, 0.9], &[("a", 0.8), ("b", 0.99)]),
            job_scores([WITHOUT, "b"], 0, [0.9, 0.9], &[("a", 0.99), ("b", 0.6)]),
        ];
        let text = text(&sweep(Some(Protocol::LeaveOutEach), jobs));
        assert!(text.contains("| b | 0.600 [0.590, 0.610] | 0.900 [0.890, 0.910] |"), "{text}");
        assert!(text.contains("mean 0.700, worst 0.600 (b)"), "{text}");
    }

    #[test]
    fn matrix_has_a_row_for_each_training() {
        let jobs = vec![
            job_scores([ONLY, "a"], 0, [0.9, 0.9], &[("a", 0.95), ("b", 0.5)]),
            job_scores([ONLY, "b"], 0, [0.9, 0.9], &[("a", 0.4), ("b", 0.97)]),
        ];
        let text = text(&sweep(Some(Protocol::TrainOnEach), jobs));
        assert!(text.contains("| b | 0.400 | 0.970 | 0.400 |"), "{text}");
    }

    #[test]
    fn scores_on_test_are_shown_for_the_chosen_setting_only() {
        let jobs = vec![job_scores(["lr", "1"], 0, [0.9, 0.71], &[]), job_scores(["lr", "2"], 0, [0.8, 0.55], &[])];
        let chosen = super::super::results::Setting { name: "lr=1".to_owned(), seeds: 1, validation_roc_auc: 0.9 };
        let text = text(&Sweep { chosen: Some(chosen), ..sweep(None, jobs) });
        assert!(text.contains("0.710") && !text.contains("0.550"), "{text}");
    }

    #[test]
    fn csv_has_a_row_for_each_generator() {
        let text = csv(&sweep(None, vec![job_scores(["lr", "1"], 0, [0.9, 0.7], &[("a,b", 0.8)])]));
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("\"lr=1,seed=0\",\"a,b\",0.9,0.8,"), "{text}");
    }
}
