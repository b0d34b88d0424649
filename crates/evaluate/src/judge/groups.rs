//! Scores by generator and by source, so that a good mean cannot hide a bad part.

use std::collections::{BTreeMap, BTreeSet};

use artifacts::predictions::Prediction;
use artifacts::schema::{Basis, Group, GroupInterval, Groups, Interval, METRICS, Scores, Worst, balanced_accuracy};
use artifacts::{Label, Split};

use super::{Fit, Scored, scores};
use crate::bootstrap::View;
use crate::metrics::{Error, confusion};
use crate::significance::{delong_interval, wilson};

/// Each generator's fakes against all real images; nothing where no generator is named.
///
/// # Errors
/// Those of the metrics.
pub fn generators(predictions: &[Prediction], fit: Option<&Fit>) -> Result<Groups, Error> {
    let fakes = || predictions.iter().filter(|prediction| prediction.label == Label::Fake);
    let names: BTreeSet<&str> = fakes().map(|prediction| prediction.generator.as_str()).collect();
    if names.iter().all(|name| name.is_empty()) {
        return Ok(Groups::default());
    }
    let members = |name: &str| -> Vec<&Prediction> {
        predictions.iter().filter(|p| p.label == Label::Real || p.generator == name).collect()
    };
    summarise(names.into_iter().map(|name| (shown(name, "unnamed"), members(name))), fit)
}

/// The images of each source; nothing where there is only one, and where they are the generators over again.
///
/// # Errors
/// Those of the metrics.
pub fn sources(predictions: &[Prediction], fit: Option<&Fit>) -> Result<Groups, Error> {
    let mut members: BTreeMap<String, Vec<&Prediction>> = BTreeMap::new();
    for prediction in predictions {
        members.entry(source(&prediction.path)).or_default().push(prediction);
    }
    let are_generators = predictions.iter().all(|prediction| source(&prediction.path) == prediction.generator);
    if members.len() < 2 || are_generators {
        return Ok(Groups::default());
    }
    summarise(members.into_iter().map(|(name, members)| (shown(&name, "top folder"), members)), fit)
}

/// The folders of a path that name neither a split nor a class: "progan/car" of "progan/car/0_real/1.png".
fn source(path: &str) -> String {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let kept: Vec<&str> = folders
        .split('/')
        .filter(|name| !name.is_empty() && Label::from_name(name).is_none() && Split::from_name(name).is_none())
        .collect();
    kept.join("/")
}

fn shown(name: &str, empty: &str) -> String {
    if name.is_empty() { empty.to_owned() } else { name.to_owned() }
}

fn summarise<'a>(
    groups: impl Iterator<Item = (String, Vec<&'a Prediction>)>,
    fit: Option<&Fit>,
) -> Result<Groups, Error> {
    let groups = groups.map(|(name, members)| group(name, &members, fit)).collect::<Result<Vec<_>, _>>()?;
    let mut mean = BTreeMap::new();
    let mut worst: BTreeMap<String, Worst> = BTreeMap::new();
    for metric in METRICS {
        let values: Vec<(f64, &str)> = groups
            .iter()
            .filter_map(|group| Some((metric.informative_value(&group.scores)?, group.name.as_str())))
            .collect();
        if let Some(&(value, group)) = values.iter().min_by(|a, b| metric.cmp_quality(a.0, b.0)) {
            let sum: f64 = values.iter().map(|value| value.0).sum();
            mean.insert(metric.key.to_owned(), sum / values.len() as f64);
            worst.insert(metric.key.to_owned(), Worst { name: group.to_owned(), value });
        }
    }
    Ok(Groups { groups, mean, worst })
}

fn group(name: String, members: &[&Prediction], fit: Option<&Fit>) -> Result<Group, Error> {
    let scored = Scored::of(members.iter().copied());
    let ranking = scored.ranking()?;
    let scores = scores(&scored, &ranking, View::HEADLINE)?;
    let fitted = fit.and_then(|fit| {
        let view = fit.view();
        balanced_accuracy(&confusion(&ranking, view.threshold, |margin| view.scale.p_fake(margin)))
    });
    Ok(Group {
        name,
        reals: ranking.real().len() as u64,
        fakes: ranking.fake().len() as u64,
        intervals: group_intervals(&scored, &scores)?,
        scores,
        fitted_balanced_accuracy: fitted,
    })
}

fn group_intervals(scored: &Scored, scores: &Scores) -> Result<BTreeMap<String, Interval>, Error> {
    let mut intervals = BTreeMap::new();
    for metric in METRICS {
        let interval = match (metric.group_interval, metric.basis) {
            // A group that is ranked without a mistake would have an interval of width 0, which says nothing.
            (GroupInterval::DeLong, _) => delong_interval(&scored.labels, &scored.margins)?
                .filter(|(low, high)| low < high)
                .map(|(low, high)| Interval { low, high }),
            (GroupInterval::Wilson, Basis::Proportion(proportion)) => wilson(proportion(&scores.confusion)),
            _ => None,
        };
        intervals.extend(interval.map(|interval| (metric.key.to_owned(), interval)));
    }
    Ok(intervals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn prediction(path: &str, label: Label, generator: &str, p_fake: f64) -> Prediction {
        testing::prediction(path, label, generator, testing::margin(p_fake))
    }

    #[test]
    fn the_worst_generator_stands_beside_the_mean() {
        let predictions = [
            prediction("test/real/0.png", Label::Real, "", 0.1),
            prediction("test/real/1.png", Label::Real, "", 0.6),
            prediction("test/fake/2.png", Label::Fake, "easy", 0.9),
            prediction("test/fake/3.png", Label::Fake, "easy", 0.8),
            prediction("test/fake/4.png", Label::Fake, "hard", 0.5),
            prediction("test/fake/5.png", Label::Fake, "hard", 0.01),
        ];
        let groups = generators(&predictions, None).unwrap();
        let names: Vec<&str> = groups.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["easy", "hard"]);
        assert_eq!(groups.worst["roc_auc"], Worst { name: "hard".to_owned(), value: 0.25 });
        assert_eq!(groups.mean["roc_auc"], 0.625);
        assert_eq!((groups.worst["brier"].name.as_str(), groups.worst["recall"].name.as_str()), ("hard", "hard"));
        assert_eq!(groups.mean["fake_accuracy"], 0.75);
        assert_eq!((groups.groups[0].reals, groups.groups[0].fakes), (2, 2));
        assert!(sources(&predictions, None).unwrap().groups.is_empty());
    }

    #[test]
    fn sources_are_folders_that_name_no_class_and_no_split() {
        assert_eq!(source("progan/car/0_real/1.png"), "progan/car");
        assert_eq!(source("test/fake/1.png"), "");
        assert_eq!(source("1.png"), "");
        let predictions = [
            prediction("test/reddit/0_real/0.png", Label::Real, "", 0.1),
            prediction("test/reddit/1_fake/1.png", Label::Fake, "", 0.9),
            prediction("test/twitter/1_fake/2.png", Label::Fake, "", 0.2),
        ];
        let by_generator = |name: &str, label| prediction(&format!("test/{label}/{name}/1.png"), label, name, 0.5);
        let same = [by_generator("", Label::Real), by_generator("a", Label::Fake), by_generator("b", Label::Fake)];
        assert!(sources(&same, None).unwrap().groups.is_empty(), "the table of generators says it already");
        let groups = sources(&predictions, None).unwrap();
        assert_eq!(groups.groups.len(), 2);
        assert_eq!(groups.groups[1].scores.roc_auc, None);
        assert_eq!(groups.worst["fake_accuracy"].name, "twitter");
        // Of fakes alone: an average precision of 1, whatever the scores.
        assert_eq!((groups.mean["pr_auc"], groups.mean["f1"]), (1.0, 1.0));
        assert_eq!(groups.worst["f1"].name, "reddit");
        assert!(generators(&predictions, None).unwrap().groups.is_empty());
    }
}
