//! The results of a sweep, read from the runs of its jobs.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::stage::Failure;
use artifacts::{Manifest, RunDir, atomic, names};
use serde::Serialize;
use serde_json::Value;

use super::grid::{Choice, Job, Protocol};
use crate::scores::Scores;

/// The results of a sweep: the content of `sweep.json`.
#[derive(Debug, Serialize)]
pub(super) struct Sweep {
    /// The name or the path of the pipeline.
    pub(super) pipeline: String,
    /// What varies over generators, if anything does.
    pub(super) protocol: Option<Protocol>,
    /// The jobs that are complete.
    pub(super) jobs: Vec<JobScores>,
    /// The setting with the highest ROC-AUC on validation, over the mean of its seeds. `None` if generators vary, because
    /// the validation images then differ.
    pub(super) chosen: Option<Setting>,
}

/// The scores of a job.
#[derive(Clone, Debug, Serialize)]
pub(super) struct JobScores {
    /// The name of the job and of its run folder.
    pub(super) name: String,
    /// The job without its seed.
    pub(super) setting: String,
    /// The values that distinguish it.
    pub(super) choices: Vec<Choice>,
    /// ROC-AUC on validation of the checkpoint that was evaluated.
    pub(super) validation_roc_auc: Option<f64>,
    /// The scores on all images of the evaluated split.
    #[serde(flatten)]
    pub(super) test: Scores,
    /// The scores on the fakes of each generator with all photographs of the evaluated split.
    pub(super) generators: BTreeMap<String, Scores>,
}

/// A setting with its mean over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Setting {
    /// The setting.
    pub(super) name: String,
    /// The number of seeds.
    pub(super) seeds: usize,
    /// The mean ROC-AUC on validation.
    pub(super) validation_roc_auc: f64,
}

impl JobScores {
    /// Reads the scores of a job. Returns `None` if it is not complete.
    fn read(folder: &Path, job: &Job) -> Result<Option<JobScores>, Failure> {
        let run = RunDir::new(folder.join(job.name()));
        let (Some(train), true) = (Manifest::read(&run.train_run(0))?, run.evaluate().join(names::METRICS).is_file())
        else {
            return Ok(None);
        };
        let metrics: Value = atomic::read_json(&run.evaluate().join(names::METRICS), "metrics")?;
        let groups = metrics["runs"][0]["generators"]["groups"].as_array();
        let groups = groups.into_iter().flatten();
        let generators = groups.filter_map(|group| Some((group["name"].as_str()?.to_owned(), Scores::of(group))));
        Ok(Some(JobScores {
            name: job.name(),
            setting: job.setting(),
            choices: job.choices.clone(),
            validation_roc_auc: train.summary["best_val_roc_auc"].as_f64(),
            test: Scores::of(&metrics),
            generators: generators.collect(),
        }))
    }
}

impl Sweep {
    /// Reads the scores of all jobs that are complete.
    pub(super) fn read(
        pipeline: &str,
        folder: &Path,
        jobs: &[Job],
        protocol: Option<&Protocol>,
    ) -> Result<Sweep, Failure> {
        let mut scores = Vec::new();
        for job in jobs {
            scores.extend(JobScores::read(folder, job)?);
        }
        let chosen = if protocol.is_none() { choose(&scores) } else { None };
        Ok(Sweep { pipeline: pipeline.to_owned(), protocol: protocol.cloned(), jobs: scores, chosen })
    }

    /// The jobs of a setting.
    pub(super) fn of_setting<'a>(&'a self, setting: &'a str) -> impl Iterator<Item = &'a JobScores> {
        self.jobs.iter().filter(move |job| job.setting == setting)
    }
}

/// Returns the setting with the highest mean ROC-AUC on validation; the first of several.
fn choose(jobs: &[JobScores]) -> Option<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for job in jobs {
        let score = job.validation_roc_auc?;
        match settings.iter_mut().find(|setting| setting.name == job.setting) {
            Some(setting) => {
                let seeds = setting.seeds as f64;
                setting.validation_roc_auc = (setting.validation_roc_auc * seeds + score) / (seeds + 1.0);
                setting.seeds += 1;
            }
            None => settings.push(Setting { name: job.setting.clone(), seeds: 1, validation_roc_auc: score }),
        }
    }
    settings.into_iter().reduce(
        |best, other| {
            if other.validation_roc_auc > best.validation_roc_auc { other } else { best }
        },
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Scores of a job with one choice. `auc` holds its ROC-AUC on validation and on the test split.
    pub(crate) fn job_scores(choice: [&str; 2], seed: u64, auc: [f64; 2], generators: &[(&str, f64)]) -> JobScores {
        let of = |score: f64| Scores {
            roc_auc: Some(score),
            roc_auc_interval: Some([score - 0.01, score + 0.01]),
            accuracy: Some(0.5),
        };
        let [name, value] = choice.map(str::to_owned);
        let job = Job { choices: vec![Choice { name, value, sets: Vec::new() }] };
        JobScores {
            name: format!("{},seed={seed}", job.name()),
            setting: job.setting(),
            choices: job.choices,
            validation_roc_auc: Some(auc[0]),
            test: of(auc[1]),
            generators: generators.iter().map(|(name, score)| ((*name).to_owned(), of(*score))).collect(),
        }
    }

    #[test]
    fn validation_chooses_the_mean_over_seeds() {
        let jobs = [
            job_scores(["lr", "1"], 0, [0.90, 0.99], &[]),
            job_scores(["lr", "1"], 1, [0.70, 0.99], &[]),
            job_scores(["lr", "2"], 0, [0.85, 0.10], &[]),
            job_scores(["lr", "2"], 1, [0.85, 0.10], &[]),
        ];
        let chosen = choose(&jobs).unwrap();
        assert_eq!((chosen.name.as_str(), chosen.seeds), ("lr=2", 2));
        assert!((chosen.validation_roc_auc - 0.85).abs() < 1e-12);
        assert_eq!(choose(&[]), None);
    }
}
