//! Joins the rows of one detector with the images.

use std::collections::BTreeMap;

use artifacts::schema::{LabelSource, Omitted};
use artifacts::{Label, Split};

use crate::config::LabelPolicy;
use crate::images::Images;
use crate::input::Row;
use crate::matching::{ImageIndex, Match};
use crate::scale::fault;
use crate::{Config, Error};

/// The rows of one detector by image, and what was left out.
#[derive(Debug, Default)]
pub(crate) struct Joined<'a> {
    /// The evaluated images that have a score of every training run, in the order of the images.
    pub(crate) evaluated: Vec<JoinedImage<'a>>,
    /// The validation images, likewise.
    pub(crate) validation: Vec<JoinedImage<'a>>,
    /// The numbers of the training runs.
    pub(crate) runs: Vec<u32>,
    /// Number of images of the evaluated split.
    pub(crate) images: u64,
    pub(crate) labels_from: Option<LabelSource>,
    pub(crate) without_prediction: Omitted,
    pub(crate) without_image: Omitted,
    pub(crate) not_finite: Omitted,
    pub(crate) other_splits: Omitted,
    pub(crate) repeated: Omitted,
    pub(crate) unlabelled: Omitted,
}

/// An image with its row of each training run.
#[derive(Debug)]
pub(crate) struct JoinedImage<'a> {
    /// Index of the image.
    pub(crate) image: usize,
    pub(crate) label: Label,
    pub(crate) generator: String,
    /// The row of each training run, in the order of [`Joined::runs`].
    pub(crate) rows: Vec<&'a Row>,
}

/// Joins the rows of the detector `model` with the images.
///
/// # Errors
/// A path that fits several images, different scores for one image, and labels or splits that contradict each other.
pub(crate) fn join<'a>(
    model: &str,
    rows: &[&'a Row],
    images: &Images,
    index: &ImageIndex<'_>,
    config: &Config,
) -> Result<Joined<'a>, Error> {
    let mut joined = Joined::default();
    let rows_of = rows_by_image(model, rows, images, index, config, &mut joined)?;
    let mut runs: Vec<u32> = rows.iter().map(|row| row.run).collect();
    runs.sort_unstable();
    runs.dedup();
    let mut seen = (false, false);
    for (position, image) in images.images.iter().enumerate() {
        let of_image = rows_of.get(&position);
        let own: Vec<&Row> = of_image.into_iter().flat_map(BTreeMap::values).copied().collect();
        let split = split_of(model, &image.path, image.split, &own)?.unwrap_or(config.split);
        if split != config.split && split != Split::Val {
            for row in &own {
                joined.other_splits.add(&row.name());
            }
            continue;
        }
        let of_rows = label_of_rows(model, &own)?;
        seen = (seen.0 | of_rows.is_some(), seen.1 | image.label.is_some());
        let Some(label) = resolve_label(model, &image.path, of_rows, image.label, config.labels)? else {
            joined.unlabelled.add(&image.path);
            continue;
        };
        let is_evaluated = split == config.split;
        joined.images += u64::from(is_evaluated);
        let scored: Vec<&'a Row> =
            runs.iter().filter_map(|run| of_image?.get(run).copied()).filter(|row| row.score.is_finite()).collect();
        if scored.len() < runs.len() {
            if is_evaluated {
                joined.without_prediction.add(&image.path);
            }
            continue;
        }
        let named = scored.iter().find_map(|row| row.generator.clone());
        let generator = named.filter(|_| label == Label::Fake).unwrap_or_else(|| image.generator.clone());
        let found = JoinedImage { image: position, label, generator, rows: scored };
        if is_evaluated { joined.evaluated.push(found) } else { joined.validation.push(found) }
    }
    joined.labels_from = match (seen, config.labels) {
        ((true, true), LabelPolicy::Agree) => Some(LabelSource::Both),
        ((true, false), _) | ((true, true), LabelPolicy::File) => Some(LabelSource::File),
        ((false, true), _) | ((true, true), LabelPolicy::Source) => Some(LabelSource::Source),
        ((false, false), _) => None,
    };
    joined.runs = runs;
    Ok(joined)
}

/// The row of each training run by the index of its image.
type RowsByImage<'a> = BTreeMap<usize, BTreeMap<u32, &'a Row>>;

fn rows_by_image<'a>(
    model: &str,
    rows: &[&'a Row],
    images: &Images,
    index: &ImageIndex<'_>,
    config: &Config,
    joined: &mut Joined<'_>,
) -> Result<RowsByImage<'a>, Error> {
    let mut rows_of: RowsByImage<'a> = BTreeMap::new();
    for &row in rows {
        let image = match index.find(row, &config.replace_prefix) {
            Match::Image(image) => image,
            Match::None => {
                joined.without_image.add(&row.name());
                continue;
            }
            Match::Ambiguous(first, second) => {
                let [first, second] = [first, second].map(|image| &images.images[image].path);
                return Err(fault(
                    model,
                    format!(
                        "`{}` fits several images, such as `{first}` and `{second}`; write longer paths",
                        row.name()
                    ),
                ));
            }
        };
        if !row.score.is_finite() {
            joined.not_finite.add(&row.name());
        }
        let of_image = rows_of.entry(image).or_default();
        match of_image.get(&row.run) {
            None => {
                of_image.insert(row.run, row);
            }
            Some(first) if is_same(first, row) => joined.repeated.add(&row.name()),
            Some(first) => {
                return Err(fault(
                    model,
                    format!(
                        "rows {} and {} are both for `{}`, with the scores {} and {}; if they are of different \
                         detectors, name these in a column `model`",
                        first.line, row.line, images.images[image].path, first.score, row.score
                    ),
                ));
            }
        }
    }
    Ok(rows_of)
}

/// Whether two rows for one image say the same. Both may be NaN.
fn is_same(a: &Row, b: &Row) -> bool {
    let same_score = a.score == b.score || (a.score.is_nan() && b.score.is_nan());
    same_score && a.verdict == b.verdict && a.label == b.label
}

fn split_of(model: &str, path: &str, of_source: Option<Split>, rows: &[&Row]) -> Result<Option<Split>, Error> {
    let mut split = of_source;
    for row in rows {
        match (split, row.split) {
            (Some(known), Some(other)) if known != other => {
                return Err(fault(
                    model,
                    format!("row {} puts `{path}` into the {other} split, but it is in the {known} split", row.line),
                ));
            }
            (known, other) => split = known.or(other),
        }
    }
    Ok(split)
}

fn label_of_rows(model: &str, rows: &[&Row]) -> Result<Option<Label>, Error> {
    let mut labels = rows.iter().filter_map(|row| Some((row, row.label?)));
    let Some((_, first)) = labels.next() else { return Ok(None) };
    match labels.find(|(_, label)| *label != first) {
        None => Ok(Some(first)),
        Some((row, label)) => {
            Err(fault(model, format!("row {} labels `{}` {label}, an earlier row {first}", row.line, row.name())))
        }
    }
}

fn resolve_label(
    model: &str,
    path: &str,
    of_rows: Option<Label>,
    of_source: Option<Label>,
    policy: LabelPolicy,
) -> Result<Option<Label>, Error> {
    match (of_rows, of_source, policy) {
        (Some(rows), Some(source), LabelPolicy::Agree) if rows != source => Err(fault(
            model,
            format!(
                "`{path}` is labelled {rows} in the file, but {source} in the source; say whose labels count with \
                 --labels file or --labels source"
            ),
        )),
        (Some(_), Some(source), LabelPolicy::Source) => Ok(Some(source)),
        (rows, source, _) => Ok(rows.or(source)),
    }
}
