//! Metrics by generator and by source folder, because a good mean can hide a group with bad results.

use std::collections::{BTreeMap, BTreeSet};

use artifacts::predictions::Prediction;
use artifacts::schema::{Basis, Group, GroupInterval, Groups, Interval, METRICS, Scores, Worst};
use artifacts::statistics::mean;
use artifacts::{Label, Split};

use super::{ScoredImages, ValidationFit, scores};
use crate::bootstrap::OperatingPoint;
use crate::metrics::{Error, confusion};
use crate::significance::{delong_interval, wilson};

/// The largest number of cells of a column that are groups of their own.
const MAX_CELLS: usize = 50;

/// Compares the fakes of each generator with all real images. Empty if no fake has the name of its generator.
///
/// # Errors
/// A logit that is not finite.
pub fn by_generator(predictions: &[Prediction], fit: Option<&ValidationFit>) -> Result<Groups, Error> {
    let fakes = || predictions.iter().filter(|prediction| prediction.label == Label::Fake);
    let names: BTreeSet<&str> = fakes().map(|prediction| prediction.generator.as_str()).collect();
    if names.iter().all(|name| name.is_empty()) {
        return Ok(Groups::default());
    }
    let members = |name: &str| -> Vec<&Prediction> {
        predictions.iter().filter(|p| p.label == Label::Real || p.generator == name).collect()
    };
    measure_groups(names.into_iter().map(|name| (name_or(name, "unnamed"), members(name))), fit)
}

/// Groups the images by source folder. Empty if there is only one folder, or if the folders are the generators.
///
/// # Errors
/// A logit that is not finite.
pub fn by_source_folder(predictions: &[Prediction], fit: Option<&ValidationFit>) -> Result<Groups, Error> {
    let mut members: BTreeMap<String, Vec<&Prediction>> = BTreeMap::new();
    for prediction in predictions {
        members.entry(source_folder(&prediction.path)).or_default().push(prediction);
    }
    let are_generators = predictions.iter().all(|prediction| source_folder(&prediction.path) == prediction.generator);
    if members.len() < 2 || are_generators {
        return Ok(Groups::default());
    }
    measure_groups(members.into_iter().map(|(name, members)| (name_or(&name, "top folder"), members)), fit)
}

/// Groups the images by their cells in each column that `ingest.report_columns` names. If no photograph has a cell, the
/// fakes of each cell are compared with all photographs, like those of a generator.
///
/// # Errors
/// A logit that is not finite.
pub fn by_column(predictions: &[Prediction], fit: Option<&ValidationFit>) -> Result<BTreeMap<String, Groups>, Error> {
    let columns: BTreeSet<&String> = predictions.iter().flat_map(|prediction| prediction.columns.keys()).collect();
    columns.into_iter().map(|column| Ok((column.clone(), by_cell(predictions, column, fit)?))).collect()
}

fn by_cell(predictions: &[Prediction], column: &str, fit: Option<&ValidationFit>) -> Result<Groups, Error> {
    let cell = |prediction: &Prediction| prediction.columns.get(column).cloned().unwrap_or_default();
    let of_fakes_only = predictions.iter().all(|p| p.label == Label::Fake || cell(p).is_empty());
    let (shared, grouped): (Vec<&Prediction>, Vec<&Prediction>) =
        predictions.iter().partition(|p| of_fakes_only && p.label == Label::Real);
    let mut members: BTreeMap<String, Vec<&Prediction>> = BTreeMap::new();
    grouped.into_iter().for_each(|prediction| members.entry(cell(prediction)).or_default().push(prediction));
    // The largest cells are groups of their own.
    let mut by_size: Vec<String> = members.keys().cloned().collect();
    by_size.sort_by_key(|cell| std::cmp::Reverse(members[cell].len()));
    let rest = by_size.get(MAX_CELLS..).unwrap_or_default();
    let others: Vec<&Prediction> = rest.iter().filter_map(|cell| members.remove(cell)).flatten().collect();
    let others = (!rest.is_empty()).then(|| (format!("{} other values", rest.len()), others));
    let named = members.into_iter().map(|(cell, members)| (name_or(&cell, "no value"), members));
    let groups = named.chain(others).map(|(name, mut members)| {
        members.extend(&shared);
        (name, members)
    });
    measure_groups(groups, fit)
}

/// The folders of a path without those that name a split or a class: "progan/car" for "progan/car/0_real/1.png".
fn source_folder(path: &str) -> String {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let kept: Vec<&str> = folders
        .split('/')
        .filter(|name| !name.is_empty() && Label::from_name(name).is_none() && Split::from_name(name).is_none())
        .collect();
    kept.join("/")
}

fn name_or(name: &str, if_empty: &str) -> String {
    if name.is_empty() { if_empty.to_owned() } else { name.to_owned() }
}

/// Computes the metrics of each group, and the mean and the worst value of each metric over the groups.
///
/// # Errors
/// A logit that is not finite.
pub fn measure_groups<'a>(
    groups: impl Iterator<Item = (String, Vec<&'a Prediction>)>,
    fit: Option<&ValidationFit>,
) -> Result<Groups, Error> {
    let groups = groups.map(|(name, members)| group(name, &members, fit)).collect::<Result<Vec<_>, _>>()?;
    let (mut means, mut worst) = (BTreeMap::new(), BTreeMap::new());
    for metric in METRICS {
        let values: Vec<(f64, &str)> = groups
            .iter()
            .filter_map(|group| Some((metric.informative_value(&group.scores)?, group.name.as_str())))
            .collect();
        if let Some(&(value, name)) = values.iter().min_by(|a, b| metric.cmp_quality(a.0, b.0)) {
            means.insert(metric.key.to_owned(), mean(&values.iter().map(|value| value.0).collect::<Vec<_>>()));
            worst.insert(metric.key.to_owned(), Worst { name: name.to_owned(), value });
        }
    }
    Ok(Groups { groups, mean: means, worst })
}

fn group(name: String, members: &[&Prediction], fit: Option<&ValidationFit>) -> Result<Group, Error> {
    let images = ScoredImages::of(members.iter().copied());
    let ranking = images.ranking()?;
    let scores = scores(&images, &ranking, OperatingPoint::HEADLINE)?;
    let fitted_balanced_accuracy = fit.and_then(|fit| {
        let point = fit.operating_point();
        confusion(&ranking, point.threshold, |margin| point.p_fake(margin)).balanced_accuracy()
    });
    Ok(Group {
        name,
        reals: ranking.real().len() as u64,
        fakes: ranking.fake().len() as u64,
        intervals: group_intervals(&images, &scores)?,
        scores,
        fitted_balanced_accuracy,
        fitted_verdicts: fit.map(|fit| fit.verdicts(&ranking)),
    })
}

fn group_intervals(images: &ScoredImages, scores: &Scores) -> Result<BTreeMap<String, Interval>, Error> {
    let mut intervals = BTreeMap::new();
    for metric in METRICS {
        let interval = match (metric.group_interval, metric.basis) {
            // If all scores of a group are equal, their variance is 0. An interval of width 0 would look like
            // certainty.
            (GroupInterval::DeLong, _) => {
                delong_interval(&images.labels, &images.margins)?.filter(|interval| interval.low < interval.high)
            }
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
    fn computes_mean_and_worst_over_generators() {
        let predictions = [
            prediction("test/real/0.png", Label::Real, "", 0.1),
            prediction("test/real/1.png", Label::Real, "", 0.6),
            prediction("test/fake/2.png", Label::Fake, "easy", 0.9),
            prediction("test/fake/3.png", Label::Fake, "easy", 0.8),
            prediction("test/fake/4.png", Label::Fake, "hard", 0.5),
            prediction("test/fake/5.png", Label::Fake, "hard", 0.01),
        ];
        let groups = by_generator(&predictions, None).unwrap();
        let names: Vec<&str> = groups.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["easy", "hard"]);
        assert_eq!(groups.worst["roc_auc"], Worst { name: "hard".to_owned(), value: 0.25 });
        assert_eq!(groups.mean["roc_auc"], 0.625);
        assert_eq!((groups.worst["brier"].name.as_str(), groups.worst["recall"].name.as_str()), ("hard", "hard"));
        assert_eq!(groups.mean["fake_accuracy"], 0.75);
        assert_eq!((groups.groups[0].reals, groups.groups[0].fakes), (2, 2));
        assert!(by_source_folder(&predictions, None).unwrap().groups.is_empty());
    }

    #[test]
    fn cells_of_a_column_are_groups() {
        let in_cell = |number: usize, label, cell: &str, p_fake| {
            let columns = BTreeMap::from([("camera".to_owned(), cell.to_owned())]);
            let columns = columns.into_iter().filter(|(_, cell)| !cell.is_empty()).collect();
            Prediction { columns, ..prediction(&format!("{number}.png"), label, "", p_fake) }
        };
        let shape = |predictions: &[Prediction]| -> Vec<(String, u64, u64)> {
            let groups = &by_column(predictions, None).unwrap()["camera"].groups;
            groups.iter().map(|group| (group.name.clone(), group.reals, group.fakes)).collect()
        };
        let group = |name: &str, reals, fakes| (name.to_owned(), reals, fakes);
        let fakes = [in_cell(0, Label::Fake, "a", 0.9), in_cell(1, Label::Fake, "", 0.8)];
        let of_both = [&fakes[..], &[in_cell(2, Label::Real, "a", 0.1), in_cell(3, Label::Real, "b", 0.2)]].concat();
        assert_eq!(shape(&of_both), [group("no value", 0, 1), group("a", 1, 1), group("b", 1, 0)]);
        let of_fakes = [&fakes[..], &[in_cell(2, Label::Real, "", 0.1), in_cell(3, Label::Real, "", 0.2)]].concat();
        assert_eq!(shape(&of_fakes), [group("no value", 2, 1), group("a", 2, 1)]);
        let many: Vec<Prediction> =
            (0..MAX_CELLS + 3).map(|i| in_cell(i, Label::Fake, &format!("{i:03}"), 0.9)).collect();
        let many = [&many[..], &[in_cell(999, Label::Real, "", 0.1)]].concat();
        assert_eq!((shape(&many).len(), shape(&many).pop()), (MAX_CELLS + 1, Some(group("3 other values", 1, 3))));
        assert!(by_column(&of_fakes[..0], None).unwrap().is_empty());
    }

    #[test]
    fn source_folders_leave_out_classes_and_splits() {
        assert_eq!(source_folder("progan/car/0_real/1.png"), "progan/car");
        assert_eq!(source_folder("test/fake/1.png"), "");
        assert_eq!(source_folder("1.png"), "");
        let predictions = [
            prediction("test/reddit/0_real/0.png", Label::Real, "", 0.1),
            prediction("test/reddit/1_fake/1.png", Label::Fake, "", 0.9),
            prediction("test/twitter/1_fake/2.png", Label::Fake, "", 0.2),
        ];
        let in_folder = |name: &str, label| prediction(&format!("test/{label}/{name}/1.png"), label, name, 0.5);
        let same = [in_folder("", Label::Real), in_folder("a", Label::Fake), in_folder("b", Label::Fake)];
        assert!(by_source_folder(&same, None).unwrap().groups.is_empty(), "the folders are the generators");
        let groups = by_source_folder(&predictions, None).unwrap();
        assert_eq!(groups.groups.len(), 2);
        assert_eq!(groups.groups[1].scores.roc_auc, None);
        assert_eq!(groups.worst["fake_accuracy"].name, "twitter");
        // The group "twitter" has fakes only, so that its average precision is 1 for any scores.
        assert_eq!((groups.mean["pr_auc"], groups.mean["f1"]), (1.0, 1.0));
        assert_eq!(groups.worst["f1"].name, "reddit");
        assert!(by_generator(&predictions, None).unwrap().groups.is_empty());
    }
}
